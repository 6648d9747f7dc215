"""What this account may do in consumer groups, which aiokafka's own admin client cannot read out of the reply."""

from collections.abc import Iterable
from typing import Any

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request

_NOT_NOW = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


class _DescribeGroupsStruct(DescribeGroupsRequest_v3):  # type: ignore[misc]
    RESPONSE_TYPE = DescribeGroupsResponse_v3  # aiokafka names the one before it, which holds no rights


class _DescribeGroups(Request[_DescribeGroupsStruct]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_DescribeGroupsStruct]) -> _DescribeGroupsStruct:
        return request_struct_class([self._group], True)


async def allowed_in_groups(client: AIOKafkaClient, groups: Iterable[str]) -> dict[str, int]:
    """What this account may do in each group: a bit for each number of Kafka's `AclOperation` (KIP-430).

    0 where it may not even see the group, which need not exist; groups that Kafka cannot tell of now are left out.
    """
    found: dict[str, int] = {}
    for group in groups:
        try:
            coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
        except GroupAuthorizationFailedError:
            found[group] = 0
            continue
        except _NOT_NOW:
            continue
        reply: Any = await client.send(coordinator, _DescribeGroups(group))
        [(error, *_, operations)] = reply.groups
        if error == GroupAuthorizationFailedError.errno:
            found[group] = 0
        elif not error:
            found[group] = operations
    return found
