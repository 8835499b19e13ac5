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

-- The 95 % interval of the share of hits (Wilson), which also holds for few trials. Null = there were no trials.
create function wilson_interval(hits bigint, trials bigint, out low float8, out high float8)
language sql immutable as $$
  -- 1.96 standard errors on each side.
  with z as (select 1.959963984540054::float8 as z, hits::float8 / nullif(trials, 0) as share, nullif(trials, 0)::float8 as n)
  select (share + z * z / (2 * n) - z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n),
         (share + z * z / (2 * n) + z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n)
  from z
$$;

-- Whether a person was reached by phone or wrote within 48 hours of a missed call. An opt-out does not count.
-- It returns a row and not a value, because only then Postgres inlines the function into the query that joins it.
create function recovery(of_lead bigint, since timestamptz) returns table (is_recovered boolean)
language sql stable as $$
  select
    -- A talk in a call that has a CDR.
    exists (
      select from raw_cdrs r
      -- Palestinian mobiles have two spellings, +970 and +972.
      where r.tenant_id = l.tenant_id and r.reached_phone in (l.phone, case when l.phone ~ '^[+]97[02]5[69]'
          then overlay(l.phone placing translate(substr(l.phone, 4, 1), '02', '20') from 4 for 1) end)
        and r.reached_until >= since and r.reached_until < since + interval '48 hours')
    -- A talk on another phone, which a person has marked.
    or coalesce(l.called_back_at >= since and l.called_back_at < since + interval '48 hours', false)
    or exists (
      select from messages s
      where s.lead_id = l.id and s.direction = 'in' and s.keyword is distinct from 'stop'
        and s.created_at >= since and s.created_at < since + interval '48 hours')
    -- A talk on WhatsApp. Meta's updates are rarely late.
    or exists (
      select from whatsapp_events e
      where e.tenant_id = l.tenant_id and e.outcome = 'reached'
        and e.received_at >= since and e.received_at < since + interval '72 hours'
        and to_timestamp((e.payload -> 'talk' ->> 'until')::float8) >= since
        and to_timestamp((e.payload -> 'talk' ->> 'until')::float8) < since + interval '48 hours'
        and e.payload -> 'talk' -> 'ids' ?| (
          array(select i.identity from lead_identities i where i.lead_id = l.id) || substr(l.phone, 2)))
  from leads l
  where l.id = of_lead
$$;

-- select * from recovery_lift('30 days'): does it help to write to the callers? It compares the callers whose message was
-- claimed (arm outreach) with the control group, which gets nothing (arm holdout, tenants.holdout_percent). There are two
-- rows for each tenant with a control group, and two with the tenant null for all of them.
--
--   callers     people who called within the period, were missed, and for whom a message was claimed or held out. A
--               failed message counts too. Each person counts once, by the first such call.
--   recovered   those who were reached by phone or wrote within 48 hours of that call. An opt-out is no recovery.
--   rate        recovered / callers
--   lift        the rate of outreach less the rate of holdout
--   low, high   its 95 % interval (Newcombe 1998, method 10)
--   enough      at least 30 callers in each arm, and an interval that excludes 0 or is narrower than 10 points. If it is
--               false, the figures say nothing.
--
-- For all tenants, the rates and the lift are averages over the tenants with callers in both arms, with the weights of
-- Mantel and Haenszel. Otherwise a tenant with many callers who come back anyway and a large control group would hide the
-- effect of all others. "enough" counts only the callers of these tenants. The intervals are combined by the method of Zou
-- and Donner (2008). For one tenant the result is Newcombe's interval.
--
-- Callers of the last 48 hours count as they stand. Erased people are not counted.
--
-- This function takes any period. If a tenant is given, it reads only that tenant, and the rows with the tenant null show
-- the same.
create function recovery_lift_between(from_at timestamptz, until_at timestamptz, of_tenant bigint default null)
returns table (tenant_id bigint, arm text, callers bigint, recovered bigint, rate float8, lift float8, low float8, high float8,
  enough boolean)
language sql stable as $$
  with held_out as materialized (
    select m.tenant_id, min(m.called_at) as first_at, max(m.called_at) as last_at
    from missed_calls m
    where m.outreach_state = 'skipped' and m.outreach_reason = 'holdout'
      and m.called_at >= from_at and m.called_at < until_at and (of_tenant is null or m.tenant_id = of_tenant)
    group by m.tenant_id
  ), control_groups as materialized (
    select t.id as tenant_id, h.first_at, h.last_at
    from tenants t left join held_out h on h.tenant_id = t.id
    where (t.holdout_percent > 0 or h.first_at is not null) and (of_tenant is null or t.id = of_tenant)
  ), callers as materialized (
    select distinct on (m.lead_id) m.tenant_id, m.lead_id, m.called_at,
           m.outreach_state = 'skipped' and m.outreach_reason = 'holdout' as is_held_out
    from control_groups g
    -- Callers of other seasons are not comparable. So outreach counts from a week before the first call of the control group
    -- to a week after the last: the group may have been switched on, or off, within the period. (Nulls are ignored.)
    join missed_calls m on m.tenant_id = g.tenant_id
      and m.called_at >= greatest(from_at, g.first_at - interval '7 days')
      and m.called_at < least(until_at, g.last_at + interval '7 days')
    where m.lead_id is not null
      and (m.outreach_state in ('sending', 'sent', 'failed', 'unknown')
        or m.outreach_state = 'skipped' and m.outreach_reason = 'holdout'
        -- WhatsApp refused it for the moment, and then it was too late, or the caller was reached. (For "exists", Postgres
        -- may read all messages of all tenants.)
        or (
          select count(*) from lead_conversations c join messages s on s.lead_conversation_id = c.id
          where c.missed_call_id = m.id and s.kind = 'initial' and s.claimed_at is not null and s.state <> 'shadow') > 0)
    order by m.lead_id, m.called_at, m.id
  ), outcomes as materialized (
    select c.tenant_id, c.is_held_out, back.is_recovered
    from callers c cross join lateral recovery(c.lead_id, c.called_at) back
  ), counts as (
    select g.tenant_id,
           count(*) filter (where not o.is_held_out) as n1,
           count(*) filter (where not o.is_held_out and o.is_recovered) as r1,
           count(*) filter (where o.is_held_out) as n0,
           count(*) filter (where o.is_held_out and o.is_recovered) as r0
    from control_groups g left join outcomes o on o.tenant_id = g.tenant_id
    group by g.tenant_id
  ), strata as (
    -- The weight is null where an arm has no callers. Sums leave these tenants out.
    select c.*, n1::float8 * n0 / case when least(n1, n0) > 0 then n1 + n0 end as weight,
           r1::float8 / nullif(n1, 0) as p1, r0::float8 / nullif(n0, 0) as p0,
           w1.low as low1, w1.high as high1, w0.low as low0, w0.high as high0
    from counts c, wilson_interval(r1, n1) w1, wilson_interval(r0, n0) w0
  ), sums as (
    -- One row for each tenant, and one for all.
    select s.tenant_id, coalesce(sum(n1), 0)::bigint as n1, coalesce(sum(r1), 0)::bigint as r1,
           coalesce(sum(n0), 0)::bigint as n0, coalesce(sum(r0), 0)::bigint as r0,
           least(sum(n1) filter (where weight > 0), sum(n0) filter (where weight > 0)) as fewest,
           sum(weight * p1) / sum(weight) as p1, sum(weight * p0) / sum(weight) as p0,
           sqrt(sum(weight ^ 2 * ((p1 - low1) ^ 2 + (high0 - p0) ^ 2))) / sum(weight) as below,
           sqrt(sum(weight ^ 2 * ((high1 - p1) ^ 2 + (p0 - low0) ^ 2))) / sum(weight) as above
    from strata s
    group by grouping sets ((s.tenant_id), ())
  )
  select s.tenant_id, arms.arm, arms.callers, arms.recovered,
         coalesce(arms.rate, arms.recovered::float8 / nullif(arms.callers, 0)),
         p1 - p0, p1 - p0 - below, p1 - p0 + above,
         coalesce(fewest >= 30
           and (p1 - p0 - below > 0 or p1 - p0 + above < 0 or below + above < 0.1), false)
  from sums s
  cross join lateral (values ('outreach', n1, r1, p1), ('holdout', n0, r0, p0)) as arms (arm, callers, recovered, rate)
  order by s.tenant_id nulls first, arms.arm desc
$$;

-- The same for all tenants, from a time ago until now.
create function recovery_lift(since interval default '30 days')
returns table (tenant_id bigint, arm text, callers bigint, recovered bigint, rate float8, lift float8, low float8, high float8,
  enough boolean)
language sql stable as $$
  select * from recovery_lift_between(now() - since, now())
$$;

-- select * from campaign_report('30 days'): the calls from each advertisement, by their utm_* and gclid, and their results.
-- A gclid without utm_source counts as google.
--
--   answered, missed  calls, as in their verdicts
--   recovered         missed calls whose caller was reached by phone or wrote within 48 hours
--   won, value        people with the outcome "won" that was set after their call. Each counts once, for their last call within
--                     the period that has a campaign. Only people who were missed at least once have an outcome.
--
-- This function takes any period, and one tenant if it is given.
create function campaign_report_between(from_at timestamptz, until_at timestamptz, of_tenant bigint default null)
returns table (tenant_id bigint, source text, medium text, campaign text, answered bigint, missed bigint, recovered bigint,
  won bigint, value numeric)
language sql stable as $$
  with calls as materialized (
    -- Of several CDRs of a call, the first that has a campaign.
    select distinct on (r.tenant_id, r.root_call_id) r.tenant_id, r.root_call_id, r.verdict, r.customer_phone,
           coalesce(r.called_at, r.received_at) as at,
           coalesce(r.campaign ->> 'utm_source', case when r.campaign ? 'gclid' then 'google' end) as source,
           r.campaign ->> 'utm_medium' as medium, r.campaign ->> 'utm_campaign' as name
    from raw_cdrs r
    where r.campaign is not null and r.verdict in ('missed', 'answered')
      and (of_tenant is null and r.tenant_id is not null or r.tenant_id = of_tenant)
      and coalesce(r.called_at, r.received_at) >= from_at and coalesce(r.called_at, r.received_at) < until_at
    order by r.tenant_id, r.root_call_id, r.id
  ), people as materialized (
    select c.*, m.called_at as missed_at, coalesce(m.lead_id, l.id) as lead_id
    from calls c
    left join missed_calls m on m.tenant_id = c.tenant_id and m.call_id = c.root_call_id
    left join leads l on l.tenant_id = c.tenant_id and l.phone = c.customer_phone
  ), wins as materialized (
    select distinct on (l.id) p.tenant_id, p.root_call_id, l.outcome_value
    from people p join leads l on l.id = p.lead_id
    where l.outcome = 'won' and l.outcome_at >= p.at
    order by l.id, p.at desc, p.root_call_id
  )
  select p.tenant_id, p.source, p.medium, p.name, count(*) filter (where p.verdict = 'answered'),
         count(*) filter (where p.verdict = 'missed'), count(*) filter (where p.verdict = 'missed' and back.is_recovered),
         count(w.root_call_id), coalesce(sum(w.outcome_value), 0)
  from people p
  left join lateral recovery(p.lead_id, p.missed_at) back on true
  left join wins w on w.tenant_id = p.tenant_id and w.root_call_id = p.root_call_id
  group by p.tenant_id, p.source, p.medium, p.name
  order by p.tenant_id, count(*) desc, p.source, p.medium, p.name
$$;

-- The same for all tenants, from a time ago until now.
create function campaign_report(since interval default '30 days')
returns table (tenant_id bigint, source text, medium text, campaign text, answered bigint, missed bigint, recovered bigint,
  won bigint, value numeric)
language sql stable as $$
  select * from campaign_report_between(now() - since, now())
$$;
