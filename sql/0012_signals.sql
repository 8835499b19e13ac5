-- What tells that something is wrong: figures for /metrics, and alerts.

-- Something is wrong, since then, until then. Written by a round once a minute (app/signals/trouble.ts); raised
-- once for as long as it lasts.
create table alerts (
  id          bigint generated always as identity primary key,
  -- Null = concerns no business that we know of: the operator alone.
  tenant_id   bigint references tenants on delete cascade,
  kind        text not null constraint alerts_kind_known
              check (kind in ('webhooks_silent', 'unmatched_number', 'connection_paused', 'template_paused', 'call_log_failing')),
  -- What it is about: the number that was dialled, or '<table> <id>' (of a template: '<id> <kind>'). Of
  -- webhooks_silent and call_log_failing 'tenants <id>'.
  subject     text not null,
  raised_at   timestamptz not null default now(),
  -- When the owner was told, by the message with the occasion alert:<id> of this alert or of one told together
  -- with it. Null = not (yet): nobody but the operator knows.
  notified_at timestamptz,
  ended_at    timestamptz,
  constraint alerts_in_order check (ended_at >= raised_at)
);
-- Whatever looks twice, or in two processes at once, raises once.
create unique index alerts_open on alerts (kind, tenant_id, subject) nulls not distinct where ended_at is null;
create index alerts_of_tenant on alerts (tenant_id, id);

-- "When did the last webhook of this business come, and how many came at this time a week ago?"
create index raw_cdrs_webhooks on raw_cdrs (tenant_id, received_at) where source = 'push';
-- Every number that belongs to no business once, however often it was dialled: read from number to number.
create index raw_cdrs_unmatched_numbers on raw_cdrs ((coalesce(tenant_id, 0)), business_phone)
  where verdict = 'unmatched_number';
-- What was sent within the last hour.
create index messages_sent on messages (claimed_at) where claimed_at is not null;
