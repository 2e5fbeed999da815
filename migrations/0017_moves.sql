-- A company that moves to another time zone has no sums by its days any more, even when it moves back before they were counted
-- anew: meanwhile some were added by the days of the other zone.

CREATE FUNCTION vez_forget_measured_zone() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    NEW.measured_zone := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER moved BEFORE UPDATE OF time_zone ON tenants FOR EACH ROW
    WHEN (NEW.time_zone IS DISTINCT FROM OLD.time_zone) EXECUTE FUNCTION vez_forget_measured_zone();
