-- SPDX-License-Identifier: Apache-2.0
-- Most tables of the suite have no key, and so would never be cached: give each the replica identity that
-- pgcache needs. Both runs that are compared have this.
CREATE SCHEMA pgcache_suite;
GRANT USAGE ON SCHEMA pgcache_suite TO PUBLIC;

CREATE FUNCTION pgcache_suite.identify() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
  made record;
BEGIN
  FOR made IN
    SELECT c.oid::pg_catalog.regclass AS name
    FROM pg_catalog.pg_event_trigger_ddl_commands() d
    JOIN pg_catalog.pg_class c ON c.oid = d.objid AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND c.relreplident = 'd'
  LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY FULL', made.name);
  END LOOP;
END $$;

CREATE EVENT TRIGGER pgcache_suite_identify ON ddl_command_end
  WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')
  EXECUTE FUNCTION pgcache_suite.identify();
