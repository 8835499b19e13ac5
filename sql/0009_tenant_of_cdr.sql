-- The reference of a CDR to its tenant. A foreign key is checked for each CDR by itself, which took a tenth of the time in
-- which Postgres stores a CDR. Now the statement that stores CDRs checks and locks their tenants once (app/voicenter/ingest.ts),
-- and triggers do the rest of what the foreign key did.

-- Webhooks wait behind the lock that this needs. So it does not wait long for a backup or a report: the migration then fails, and
-- can be repeated.
set local lock_timeout = '2s';
alter table raw_cdrs drop constraint raw_cdrs_tenant_id_fkey;

-- Classification finds the tenant of a CDR that came with an unbound token. Like a foreign key, this locks the tenant, so that
-- it is not deleted before this transaction ends.
create function raw_cdrs_check_tenant() returns trigger
language plpgsql as $$
begin
  perform from tenants where id = new.tenant_id for key share;
  if not found then
    raise foreign_key_violation using message = 'a call record names a tenant that does not exist', table = 'raw_cdrs';
  end if;
  return null;
end
$$;
create trigger raw_cdrs_check_tenant after update of tenant_id on raw_cdrs
  for each row when (new.tenant_id is distinct from old.tenant_id and new.tenant_id is not null)
  execute function raw_cdrs_check_tenant();

-- A tenant is deleted with its CDRs.
create function raw_cdrs_delete_with_tenant() returns trigger
language plpgsql as $$
begin
  delete from raw_cdrs where tenant_id = old.id;
  return null;
end
$$;
create trigger raw_cdrs_delete_with_tenant after delete on tenants
  for each row execute function raw_cdrs_delete_with_tenant();
