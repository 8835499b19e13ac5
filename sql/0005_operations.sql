-- Running the service: the workers, alerts, and the log of what people did.

-- One row for each running worker. id is the name that graphile-worker writes into locked_by. A worker is alive as long
-- as its session holds the advisory lock hashtextextended(id, 0). A worker that finds the lock of another one free
-- releases the jobs of that worker and deletes its row.
create table worker_pools (
  id         text not null constraint worker_pools_key primary key,
  started_at timestamptz not null default now()
);

-- A problem, from raised_at to ended_at. Written once a minute, and raised once for as long as the problem lasts.
create table alerts (
  id          bigint generated always as identity primary key,
  -- Null = no known tenant: only the operator can act.
  tenant_id   bigint references tenants on delete cascade,
  kind        text not null constraint alerts_kind_known check (
    kind in ('webhooks_silent', 'unmatched_number', 'connection_paused', 'template_paused', 'template_marketing',
             'call_log_failing', 'event_failed')),
  -- What the alert is about: the dialled number, or '<table> <id>' (a template: '<table> <id> <kind>').
  -- webhooks_silent, call_log_failing and event_failed: 'tenants <id>'.
  subject     text not null,
  raised_at   timestamptz not null default now(),
  -- When the owner was notified. The notice has the occasion alert:<id>; if it covers several alerts, the id of one.
  -- Null = the owner was not notified (yet).
  notified_at timestamptz,
  ended_at    timestamptz,
  constraint alerts_in_order check (ended_at >= raised_at)
);
-- Two processes that find the same problem raise one alert.
create unique index alerts_open on alerts (kind, tenant_id, subject) nulls not distinct where ended_at is null;
create index alerts_of_tenant on alerts (tenant_id, id);

-- Every change that a person made on /ops or with npm run tenant, written in the transaction of the change. Rows are
-- never changed or deleted. They contain a tenant's own numbers, but no customer's number and no token.
create table audit_log (
  id        bigint generated always as identity primary key,
  at        timestamptz not null default now(),
  -- 'operator', 'tenant <id>', or 'command line'.
  who       text not null,
  -- Null = the change concerns no tenant. No foreign key, since the row must outlive the tenant.
  tenant_id bigint,
  -- '<noun>.<verb>': tenant.set, outreach.cancel, delivery.discard ...
  action    text not null constraint audit_log_action_form check (action ~ '^[a-z_]+\.[a-z_]+$'),
  -- The changed row as '<table> <id>': 'missed_calls 12'.
  subject   text not null,
  -- Only the changed fields. before is null for a new row, after for a deleted one.
  before    jsonb,
  after     jsonb
);
create index audit_log_of_tenant on audit_log (tenant_id, id);
-- What was done to one call or message.
create index audit_log_of_subject on audit_log (subject);
