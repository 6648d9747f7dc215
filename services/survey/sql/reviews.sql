-- name: keep_offers
INSERT INTO review_offer (invitation_id, policy, survey, rate, offered)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::float8[], $5::boolean[])
ON CONFLICT DO NOTHING

-- name: offer_of
SELECT offered FROM review_offer WHERE invitation_id = $1

-- name: offers
SELECT invitation_id, rate, offered FROM review_offer

-- name: offers_by_score
SELECT o.policy, o.survey, o.rate, o.offered, r.score, count(*) AS n
FROM review_offer AS o JOIN response AS r ON r.response_id = o.invitation_id
WHERE r.score IS NOT NULL
GROUP BY o.policy, o.survey, o.rate, o.offered, r.score
