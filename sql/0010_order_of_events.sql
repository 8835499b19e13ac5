-- Meta delivers updates in any order, tries for seven days, and may tell only later whose id it used. What people wrote counts in
-- the order in which they wrote it.

-- Webhooks wait behind the locks that this needs. So it does not wait long for a backup or a report: the migration then fails, and
-- can be repeated.
set local lock_timeout = '2s';

-- When what an update reports happened, by Meta's clock: never after its receipt, because Meta's clock may be ahead. A time that
-- is more than eight days old is wrong, because Meta would not try for so long.
create function happened_at(update whatsapp_events) returns timestamptz
language sql stable as $$
  select case when told.at between update.received_at - interval '8 days' and update.received_at
              then told.at else update.received_at end
  from (select case when update.payload -> 'item' ->> 'timestamp' ~ '^[0-9]{9,10}$'
                    then to_timestamp((update.payload -> 'item' ->> 'timestamp')::float8) end as at) as told
$$;

-- Finds by the ids of a person the "start" that they wrote after a "stop", and what came before one of the ids was known.
create index whatsapp_events_of_person on whatsapp_events using gin (person_ids) with (fastupdate = off)
  where outcome in ('opt_in', 'resumed', 'unassigned');

-- "Has the owner written to this caller, who was unknown until now?" A plan that is kept uses no GIN index.
create index whatsapp_events_owner_wrote on whatsapp_events (tenant_id, ltrim(payload -> 'item' ->> 'to', '+'))
  where kind = 'echo' and outcome = 'unassigned';

-- The update with the last "stop". A "start" that the person wrote before it does not take it back. Null = it was not said in an
-- update, or the opt-out is older than this column. There is no foreign key, because nothing depends on the row: without it
-- created_at counts. This comes last, because the job of an update locks whatsapp_events first.
alter table opt_outs add column whatsapp_event_id bigint;
