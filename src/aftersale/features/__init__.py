"""What can we compute? Features of customers as of an instant, as expressions that others run."""
