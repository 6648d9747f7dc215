"""Staff: who is signed in, what they may do, and the gate that pages ask."""

from services.chassis.staff.members import EVERYWHERE, Gate, Member, Role

__all__ = ["EVERYWHERE", "Gate", "Member", "Role"]
