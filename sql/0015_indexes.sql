-- What each record costs: an index that is looked at seldom is paid for with every call.
--
-- A record is inserted once and judged once, and since judging fills columns that are looked up, both write an entry
-- into every index that holds the record. So an index must be worth that, and holds a record no sooner than somebody
-- looks for it. Of an answered call there were 20 entries before this file and 16 after it, and all indexes together
-- are a fifth smaller.
--
-- Rebuilding takes some ten seconds per million records, in which nobody else reads or writes them: webhooks are answered
-- 503 meanwhile, and Voicenter and Meta send them again. All locks are taken before anything is built, so that whoever meets a
-- deadlock does so at once and is tried again. A backup that reads for minutes is not waited for, since every webhook
-- would wait behind us: the release fails then, and the version before goes on.
set local lock_timeout = '5s';
lock table tenants, raw_cdrs, missed_calls in access exclusive mode;
lock table leads, messages, whatsapp_events in share update exclusive mode;
set local lock_timeout to default;

-- The key of a repeat began with the tenant. Begun with the call it also answers "which records have this CallID?", for
-- which there was an index of its own; and since call ids grow with time, new entries come at its end, side by side.
create unique index raw_cdrs_same_record_by_call on raw_cdrs (call_id, token_tenant_id, content_hash) nulls not distinct;
alter table raw_cdrs drop constraint raw_cdrs_same_record;
alter table raw_cdrs add constraint raw_cdrs_same_record unique using index raw_cdrs_same_record_by_call;
drop index raw_cdrs_by_call;

-- Every foreign key is a look-up and a lock on the tenant with each record. What came with a tenant's token has her as
-- its tenant too, so tenant_id alone holds that there is such a tenant, and goes with her.
alter table raw_cdrs drop constraint raw_cdrs_token_tenant_id_fkey;

-- Retention leaves alone what is not judged yet: an entry from then on is early enough.
drop index raw_cdrs_full;
create index raw_cdrs_full on raw_cdrs (received_at) where payload is not null and verdict is not null;

-- "What came of this business since then?": the last webhook, a replay, the report below. It held webhooks alone, and so
-- served only the first.
drop index raw_cdrs_webhooks;
create index raw_cdrs_of_tenant_by_receipt on raw_cdrs (tenant_id, received_at) include (source);

-- Nobody looks for the records in which no number shows, and until it is judged that is every one.
drop index raw_cdrs_by_number;
create index raw_cdrs_by_number on raw_cdrs (reverse(customer_phone) text_pattern_ops) where customer_phone is not null;

-- A call that is scheduled, sending and then sent had an entry here three times; what waits has an index of its own.
drop index missed_calls_by_outreach;
create index missed_calls_by_outreach on missed_calls (outreach_state, outreach_reason, called_at, id)
  where outreach_state in ('sent', 'skipped', 'cancelled', 'failed', 'unknown');

-- A lead is counted and changes its state with every call of hers, and no index knows of either: with room left in its
-- page no index is written at all.
alter table leads set (fillfactor = 85);

-- Every record leaves a dead version when it is judged, every message one for each report. By default they are cleared
-- away when they are a fifth of the table: of ten million records that is two million, and as many dead entries in the
-- indexes of what is open, which are read through every minute.
alter table raw_cdrs set (autovacuum_vacuum_scale_factor = 0.05);
alter table missed_calls set (autovacuum_vacuum_scale_factor = 0.05);
alter table messages set (autovacuum_vacuum_scale_factor = 0.05);
alter table whatsapp_events set (autovacuum_vacuum_scale_factor = 0.05);

-- As before, but business by business: it read every record that there is to find those of a day.
create or replace function call_report(since interval default '1 day')
returns table (
  tenant_id bigint, call_id text, called_at timestamptz, caller_phone text, business_phone text,
  records bigint, deliveries bigint, verdict text, reason text,
  missed_call_id bigint, outreach_state text, outreach_reason text, outreach_due_at timestamptz,
  message_state text, error_code integer, job text, job_state text, job_run_at timestamptz, job_last_error text
)
language sql stable as $$
  with calls as (
    select r.tenant_id, r.root_call_id, min(r.called_at) as called_at,
           (array_agg(r.business_phone order by r.id) filter (where r.business_phone is not null))[1] as business_phone,
           count(*) as records, sum(r.deliveries) as deliveries,
           -- Every record of a call carries the same verdict, but for one that is not judged yet.
           max(r.verdict) as verdict, max(r.reason) as reason,
           array_agg(distinct 'voicenter_cdr:' || r.call_id) as judging
    from (
      select o.* from tenants t join raw_cdrs o on o.tenant_id = t.id where o.received_at > now() - since
      union all
      select * from raw_cdrs where tenant_id is null and received_at > now() - since
    ) r
    group by r.tenant_id, r.root_call_id
  )
  select c.tenant_id, c.root_call_id, coalesce(m.called_at, c.called_at), m.caller_phone, c.business_phone,
         c.records, c.deliveries, c.verdict, c.reason,
         m.id, m.outreach_state, m.outreach_reason, m.outreach_due_at, s.state, s.error_code,
         j.key,
         case when j.id is null then null
              when j.locked_at is not null then 'running'
              when j.attempts >= j.max_attempts then 'dead'
              when j.attempts > 0 then 'retrying'
              else 'waiting' end,
         j.run_at, j.last_error
  from calls c
  left join missed_calls m on m.tenant_id = c.tenant_id and m.call_id = c.root_call_id
  left join lead_conversations v on v.missed_call_id = m.id
  left join messages s on s.lead_conversation_id = v.id and s.kind = 'initial'
  left join lateral (
    select * from graphile_worker.jobs
    where key = any(c.judging || array['lead_outreach:' || m.id, 'lead_reminder:' || v.id || ':1',
                                       'lead_reminder:' || v.id || ':2', 'lead_silence:' || v.id])
    order by run_at limit 1
  ) j on true
  order by coalesce(m.called_at, c.called_at) desc nulls last
$$;
