"""What gateways send: taken in once, confirmed after it is kept, and refused only with a reason."""
