-- Reports for people who work with SQL.
-- They are functions with their body as a string, and not views: if a view depended on graphile_worker.jobs,
-- graphile-worker could not migrate its schema any more.

-- select * from call_report(): one row for each call, newest first, with its verdict, the decision about writing to the
-- caller, when the message is due, the state of the message, and the job of the next step.
-- call_report('7 days') shows more than one day.
create function call_report(since interval default '1 day')
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
           -- All legs of a call have the same verdict, except one that is not classified yet.
           max(r.verdict) as verdict, max(r.reason) as reason,
           array_agg(distinct 'voicenter_cdr:' || r.call_id) as cdr_jobs
    from (
      -- Tenant by tenant, so that Postgres uses the index on (tenant_id, received_at) instead of reading every CDR.
      select o.* from tenants t join raw_cdrs o on o.tenant_id = t.id where o.received_at > now() - since
      union all
      select * from raw_cdrs where tenant_id is null and received_at > now() - since
    ) r
    group by r.tenant_id, r.root_call_id
    union all
    -- A missed call on WhatsApp has no CDR.
    select m.tenant_id, m.call_id, m.called_at, m.business_phone, 0, 0, 'missed', 'noanswer', '{}'
    from tenants t join missed_calls m on m.tenant_id = t.id and m.called_at > now() - since
    where m.source = 'whatsapp' and m.created_at > now() - since
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
    where key = any(c.cdr_jobs || array['lead_outreach:' || m.id, 'lead_reminder:' || v.id || ':1',
                                       'lead_reminder:' || v.id || ':2', 'lead_silence:' || v.id])
    order by run_at limit 1
  ) j on true
  order by coalesce(m.called_at, c.called_at) desc nulls last
$$;

-- select * from webhook_loss(): how many calls of a tenant never came by webhook, over the time for which its call log
-- was compared, up to 30 days back. webhook_loss('1 day') looks back one day. It counts CDRs and not checks, so that no
-- call counts twice, and a call whose webhook came after the check counts as late and not as lost.
create function webhook_loss(since interval default '30 days')
returns table (tenant_id bigint, calls bigint, lost bigint, late bigint, loss_percent numeric)
language sql stable as $$
  with calls as (
    select r.tenant_id, bool_or(r.source = 'push') as pushed, bool_or(r.source = 'call_log') as recovered
    from raw_cdrs r
    join call_log_access a on a.tenant_id = r.tenant_id
    where coalesce(r.called_at, r.received_at) >= greatest(a.watched_since, now() - since)
      and coalesce(r.called_at, r.received_at) < a.checked_until
    group by r.tenant_id, r.call_id
  )
  select c.tenant_id, count(*), count(*) filter (where not pushed),
         count(*) filter (where pushed and recovered),
         round(100.0 * count(*) filter (where not pushed) / count(*), 2)
  from calls c
  group by c.tenant_id
  order by c.tenant_id
$$;
