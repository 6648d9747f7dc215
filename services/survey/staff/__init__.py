"""The way in for staff, an OpenID provider or the demo's accounts; and the forms that they post."""
