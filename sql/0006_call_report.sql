-- select * from call_report();  what became of every call, and why. One row per call, newest first:
-- its verdict, what was decided about writing to the caller, when the message is due, how far it got,
-- and the job that does the next step. call_report('7 days') looks further back.
--
-- A function with its body as a string, not a view: a view over graphile_worker.jobs would make the
-- next graphile-worker migration fail on the dependency.

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
           -- Every record of a call carries the same verdict, but for one that is not judged yet.
           max(r.verdict) as verdict, max(r.reason) as reason,
           array_agg(distinct 'voicenter_cdr:' || r.call_id) as judging
    from raw_cdrs r
    where r.received_at > now() - since
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
