-- Erasures before this version left the invitation open to text messages and apps, which need no link.
UPDATE invitation AS i SET expires_at = clock_timestamp()
FROM person_key AS k
WHERE k.erased_at IS NOT NULL AND i.person_id = encode(k.person, 'hex') AND i.expires_at > clock_timestamp()
  AND ((i.delivery ->> 'occurred_at')::timestamptz > k.erased_at) IS NOT TRUE;
