"""Linear regression and multilayer perceptrons by gradients, for scikit-learn."""
