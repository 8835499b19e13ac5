-- Webhooks that never arrived. Where a business gives us access to Voicenter's Call Log API, what the log
-- holds is compared with what came, every hour and after an outage, and what is missing is taken in.

-- Which way a record came to us. A call whose records all say call_log is one whose webhook was lost.
alter table raw_cdrs add column source text not null default 'push'
  constraint raw_cdrs_source_known check (source in ('push', 'call_log'));
create index raw_cdrs_from_call_log on raw_cdrs (tenant_id, call_id) where source = 'call_log';

-- What the log holds and cannot be read is kept beside what webhooks brought and could not be.
alter table rejected_deliveries drop constraint rejected_deliveries_source_known;
alter table rejected_deliveries add constraint rejected_deliveries_source_known
  check (source in ('voicenter', 'whatsapp', 'call_log'));

-- How we get at a business's call log, and how far it has been compared. No row = it is not.
create table call_log_access (
  tenant_id     bigint constraint call_log_access_key primary key references tenants on delete cascade,
  -- Voicenter takes an organisation's code, together with a list of addresses, or a bearer token.
  kind          text not null constraint call_log_access_kind_known check (kind in ('code', 'bearer')),
  -- AES-256-GCM under ENCRYPTION_KEY, bound to this tenant (app/secrets.ts). Never in clear.
  credential    text not null constraint call_log_access_credential_sealed check (credential like 'v1:%'),
  -- No call that began before this was ever looked for: there was no webhook yet that could be lost.
  watched_since timestamptz not null,
  -- Every call that began before this has been compared at least once.
  checked_until timestamptz not null,
  -- When the job call_log:<tenant_id> is due.
  next_check_at timestamptz not null default now(),
  -- Why the last check failed, in a word of ours, never in Voicenter's. Null = it did not fail.
  last_error    text constraint call_log_access_error_is_a_word check (last_error ~ '^[a-z0-9_]{1,40}$'),
  failing_since timestamptz,
  created_at    timestamptz not null default now(),
  constraint call_log_access_failing_has_error check ((last_error is null) = (failing_since is null)),
  constraint call_log_access_in_order check (watched_since <= checked_until)
);
create index call_log_access_due on call_log_access (next_check_at);

-- Every check that went through. Their windows overlap on purpose, since a long call enters the log late: so
-- a call may be counted by several of them as in the log, but only by one as missing and taken in.
create table call_log_checks (
  id         bigint generated always as identity primary key,
  tenant_id  bigint not null references tenants on delete cascade,
  -- The calls that began between these were asked for.
  from_at    timestamptz not null,
  until_at   timestamptz not null,
  in_log     integer not null,
  -- Of those, the ones that had not come by webhook.
  missing    integer not null,
  -- Of those, the ones that could be read and were stored; the others are in rejected_deliveries.
  taken_in   integer not null,
  checked_at timestamptz not null default now(),
  constraint call_log_checks_window check (from_at < until_at),
  constraint call_log_checks_counts check (0 <= taken_in and taken_in <= missing and missing <= in_log)
);
create index call_log_checks_of_tenant on call_log_checks (tenant_id, checked_at);

-- select * from webhook_loss();  how many of a business's calls never came by webhook, over the time that
-- has been compared; webhook_loss('1 day') looks back less far than 30 days. Counted from the records and
-- not from the checks, so that no call counts twice and a webhook that came after all ("late") is not lost.
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
