-- Sums by tenant and day, so that a list of all tenants does not read every call of a month.

-- The worker fills this table from the other tables, and repairs it: three days around today every minute, the month before
-- in turn (app/monitoring/daily_figures.ts). So a day may be a minute old, and an earlier one half an hour. To rebuild
-- a day: select refresh_daily_figures('2026-11-30').
create table daily_figures (
  -- Null = all tenants together. This row exists for each day that was summed, also if no call came.
  tenant_id    bigint references tenants on delete cascade,
  -- The day on the clock of the tenant.
  day          date not null,
  -- The missed calls of the day, and what became of them by now. A person who replied has read the message.
  missed       integer not null,
  contacted    integer not null,
  delivered    integer not null,
  read         integer not null,
  replied      integer not null,
  reached      integer not null,
  waiting      integer not null,
  failed       integer not null,
  unknown      integer not null,
  -- Calls without a message by reason: {"not_mobile": 3}.
  skipped      jsonb not null,
  -- Calls on the telephone by hour of the day: {"9": [<missed>, <answered>]}.
  hours        jsonb not null,
  answered     integer not null,
  -- The people who became customers on this day, and for how much.
  won          integer not null,
  won_value    numeric not null,
  -- When the row last changed. Of all tenants together: when the day was last summed.
  refreshed_at timestamptz not null default now(),
  constraint daily_figures_key unique nulls not distinct (tenant_id, day)
);
create index daily_figures_by_day on daily_figures (day, tenant_id);

-- The figures of one day, read from the calls: of one tenant, or of each tenant and of all together (tenant_id is null). As a
-- single statement, so that Postgres puts it into the query that calls it, and plans it for these arguments.
create function figures_of_day(on_day date, of_tenant bigint default null)
returns table (
  tenant_id bigint, missed integer, contacted integer, delivered integer, read integer, replied integer, reached integer,
  waiting integer, failed integer, unknown integer, skipped jsonb, hours jsonb, answered integer, won integer, won_value numeric
)
language sql stable as $$
  -- The key 0 stands for all tenants, because rows cannot be joined by null.
  with zones as materialized (
    select timezone, on_day::timestamp at time zone timezone as from_at,
           (on_day + 1)::timestamp at time zone timezone as until_at
    from (select distinct timezone from tenants where of_tenant is null or id = of_tenant) z
  ), missed_ones as materialized (
    select m.tenant_id, m.outreach_state as state, m.outreach_reason as reason, c.state as conversation, s.state as message
    from zones z
    join missed_calls m on m.called_at >= z.from_at and m.called_at < z.until_at
      -- The same again, wider and known to the planner: otherwise it expects a ninth of the table.
      and m.called_at >= (on_day - 1)::timestamp at time zone 'UTC' and m.called_at < (on_day + 2)::timestamp at time zone 'UTC'
      and (of_tenant is null or m.tenant_id = of_tenant)
    join tenants t on t.id = m.tenant_id and t.timezone = z.timezone
    -- With a limit, so that Postgres looks up these rows one by one, and does not read the whole tables.
    left join lateral (
      select id, state from lead_conversations where missed_call_id = m.id limit 1) c on true
    left join lateral (
      select state from messages where lead_conversation_id = c.id and kind = 'initial' limit 1) s on true
  ), of_missed as (
    select coalesce(o.tenant_id, 0) as key, count(*) as missed,
           count(*) filter (where state = 'sent') as contacted,
           count(*) filter (where state = 'sent' and (message in ('delivered', 'read') or conversation = 'replied')) as delivered,
           count(*) filter (where state = 'sent' and (message = 'read' or conversation = 'replied')) as read,
           count(*) filter (where conversation = 'replied' or reason = 'replied') as replied,
           count(*) filter (where conversation = 'reached_by_phone' or reason = 'reached_by_phone') as reached,
           count(*) filter (where state in ('scheduled', 'sending')) as waiting,
           count(*) filter (where state = 'failed') as failed,
           count(*) filter (where state = 'unknown') as unknown
    from missed_ones o group by grouping sets ((o.tenant_id), ())
  ), of_skipped as (
    select key, jsonb_object_agg(reason, n) as skipped
    from (
      select coalesce(o.tenant_id, 0) as key, reason, count(*) as n from missed_ones o
      where state = 'skipped' group by grouping sets ((o.tenant_id, reason), (reason))
    ) r group by key
  ), calls as (
    -- A call with several CDRs counts once. All of them have the same verdict. A call whose CDRs are of two days counts in
    -- both: to look up the first CDR of each call would take longer than the sums.
    select r.tenant_id, t.timezone, min(r.called_at) as called_at, bool_or(r.verdict = 'missed') as missed
    from zones z
    join raw_cdrs r on coalesce(r.called_at, r.received_at) >= z.from_at and coalesce(r.called_at, r.received_at) < z.until_at
      and coalesce(r.called_at, r.received_at) >= (on_day - 1)::timestamp at time zone 'UTC'
      and coalesce(r.called_at, r.received_at) < (on_day + 2)::timestamp at time zone 'UTC'
      and (of_tenant is null or r.tenant_id = of_tenant) and r.verdict in ('missed', 'answered')
    join tenants t on t.id = r.tenant_id and t.timezone = z.timezone
    group by r.tenant_id, t.timezone, r.root_call_id
  ), of_calls as (
    select key, jsonb_object_agg(hour, jsonb_build_array(missed, answered)) as hours, sum(answered) as answered
    from (
      select coalesce(k.tenant_id, 0) as key, extract(hour from called_at at time zone timezone)::int as hour,
             count(*) filter (where missed) as missed, count(*) filter (where not missed) as answered
      from calls k group by grouping sets ((k.tenant_id, 2), (2))
    ) h group by key
  ), of_won as (
    select coalesce(l.tenant_id, 0) as key, count(*) as won, sum(l.outcome_value) as won_value
    from zones z
    join leads l on l.outcome = 'won' and l.outcome_at >= z.from_at and l.outcome_at < z.until_at
      and (of_tenant is null or l.tenant_id = of_tenant)
    join tenants t on t.id = l.tenant_id and t.timezone = z.timezone
    group by grouping sets ((l.tenant_id), ())
  ), keys as (
    select key from of_missed union select key from of_calls union select key from of_won
  )
  select nullif(key, 0), coalesce(missed, 0)::int, coalesce(contacted, 0)::int, coalesce(delivered, 0)::int,
         coalesce(read, 0)::int, coalesce(replied, 0)::int, coalesce(reached, 0)::int, coalesce(waiting, 0)::int,
         coalesce(failed, 0)::int, coalesce(unknown, 0)::int, coalesce(skipped, '{}'), coalesce(hours, '{}'),
         coalesce(answered, 0)::int, coalesce(won, 0)::int, coalesce(won_value, 0)
  from keys
  left join of_missed using (key)
  left join of_skipped using (key)
  left join of_calls using (key)
  left join of_won using (key)
$$;

-- Sums one day again for every tenant, and changes only the rows that differ. Returns false if another process does so now.
create function refresh_daily_figures(on_day date) returns boolean
language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock(hashtextextended('daily figures', 0)) then
    return false;
  end if;
  with fresh as materialized (
    select * from figures_of_day(on_day)
  ), gone as (
    delete from daily_figures f
    where f.day = on_day and f.tenant_id is not null and not exists (select from fresh where tenant_id = f.tenant_id)
  )
  insert into daily_figures as f (
    tenant_id, day, missed, contacted, delivered, read, replied, reached, waiting, failed, unknown, skipped, hours, answered,
    won, won_value)
  select tenant_id, on_day, missed, contacted, delivered, read, replied, reached, waiting, failed, unknown, skipped, hours,
         answered, won, won_value
  from fresh
  on conflict on constraint daily_figures_key do update
  set missed = excluded.missed, contacted = excluded.contacted, delivered = excluded.delivered, read = excluded.read,
      replied = excluded.replied, reached = excluded.reached, waiting = excluded.waiting, failed = excluded.failed,
      unknown = excluded.unknown, skipped = excluded.skipped, hours = excluded.hours, answered = excluded.answered,
      won = excluded.won, won_value = excluded.won_value, refreshed_at = excluded.refreshed_at
  where excluded.tenant_id is null
     or (f.missed, f.contacted, f.delivered, f.read, f.replied, f.reached, f.waiting, f.failed, f.unknown, f.skipped, f.hours,
         f.answered, f.won, f.won_value)
        is distinct from
        (excluded.missed, excluded.contacted, excluded.delivered, excluded.read, excluded.replied, excluded.reached,
         excluded.waiting, excluded.failed, excluded.unknown, excluded.skipped, excluded.hours, excluded.answered,
         excluded.won, excluded.won_value);
  return true;
end
$$;
