-- Running the service: the workers, alerts, who is signed in, and the log of what people did.

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
             'template_differs', 'call_log_failing', 'event_failed', 'popup_unconfirmed', 'popup_lookups',
             'endpoint_disabled')),
  -- What the alert is about: the dialled number, or '<table> <id>' (a template: '<table> <id> <kind>').
  -- webhooks_silent, call_log_failing and event_failed: 'tenants <id>'. popup_unconfirmed: 'leads <id>'. popup_lookups:
  -- 'webhook_tokens <id>'. endpoint_disabled: 'event_endpoints <id>'.
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

-- Who may use /ops: a browser that signed in (session), or a link that was sent to the owner and with which a browser
-- signs in, any number of times. Only the SHA-256 of the token is stored: a token is 256 random bits. A row is read for each page, and is not
-- written by it. Retention deletes expired rows.
create table sessions (
  id         bigint generated always as identity primary key,
  kind       text not null constraint sessions_kind_known check (kind in ('session', 'link')),
  hash       bytea not null constraint sessions_hash_key unique
             constraint sessions_hash_sha256 check (octet_length(hash) = 32),
  -- Null = the operator.
  tenant_id  bigint references tenants on delete cascade,
  -- full = everything that the account may do; leads = read and answer leads, for the rest the password is asked.
  scope      text not null constraint sessions_scope_known check (scope in ('full', 'leads')),
  -- The person whose page a link opens. Null = the list of people. No foreign key, since the tenant may be null. Erasing
  -- the person deletes the link.
  lead_id    bigint,
  -- A keyed hash of the password that the account had. With another password the row is no longer valid.
  credential bytea not null constraint sessions_credential_hmac check (octet_length(credential) = 32),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  -- When the visitor signed out, or all sessions and links of the tenant were ended.
  revoked_at timestamptz,
  constraint sessions_in_order check (expires_at > created_at),
  constraint sessions_of_operator check (tenant_id is not null or kind = 'session' and scope = 'full'),
  constraint sessions_of_link check (kind = 'session' and lead_id is null or kind = 'link' and scope = 'leads')
);
create index sessions_of_tenant on sessions (tenant_id, id);
create index sessions_expiring on sessions (expires_at);
create index sessions_of_lead on sessions (lead_id) where lead_id is not null;

-- Every change that a person made on /ops or with npm run tenant, written in the transaction of the change. Rows are
-- never changed or deleted. They contain a tenant's own numbers, but no customer's number and no token.
create table audit_log (
  id        bigint generated always as identity primary key,
  at        timestamptz not null default now(),
  -- 'operator', 'tenant <id>', 'api token <id>' (the id in webhook_tokens), or 'command line'.
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
