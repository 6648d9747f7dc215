-- Whether corrected facts tell of a damage or another exception that a request, by the facts told of it, does not know of.
CREATE FUNCTION tells_of_new_exception(told jsonb, corrected jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT NOT coalesce(corrected -> 'exceptions', '[]') <@ coalesce(told -> 'exceptions', '[]')
$$;
