"""Staff's words on what came of a case, on their way to the person who asked to be contacted."""
