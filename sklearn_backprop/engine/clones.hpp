// Loops compiled twice, for the loader to choose from: vector and fused multiply-add
// instructions are on every recent x86-64 processor, but a portable build may not
// assume so. Elsewhere, and under sanitizers (whose own start-up comes after the
// choice), once.
#pragma once

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && \
    !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define SKLEARN_BACKPROP_CLONES \
  __attribute__((target_clones("arch=haswell", "default")))
#else
#define SKLEARN_BACKPROP_CLONES
#endif
