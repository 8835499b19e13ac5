-- WhatsApp: the numbers that send, their templates, and the updates that Meta posts.

-- A number of the WhatsApp Cloud API. A tenant without a row cannot send messages.
create table whatsapp_connections (
  id                   bigint generated always as identity primary key,
  tenant_id            bigint not null references tenants on delete cascade,
  display_phone_number text not null
                       constraint whatsapp_connections_display_e164 check (display_phone_number ~ '^\+[1-9][0-9]{6,14}$'),
  phone_number_id      text not null constraint whatsapp_connections_phone_number_id_key unique,
  -- AES-256-GCM under ENCRYPTION_KEY, bound to this tenant. Never in clear text.
  access_token         text not null constraint whatsapp_connections_token_sealed check (access_token like 'v1:%'),
  state                text not null default 'active'
                       constraint whatsapp_connections_state_known check (state in ('active', 'paused')),
  state_reason         text,
  -- The WhatsApp Business account, known from the first webhook. Template updates name only the account.
  waba_id              text,
  created_at           timestamptz not null default now()
);
create index whatsapp_connections_of_tenant on whatsapp_connections (tenant_id);

-- The template for a kind of message, where a connection does not use the default or Meta paused the template.
create table whatsapp_templates (
  whatsapp_connection_id bigint not null references whatsapp_connections on delete cascade,
  kind         text not null constraint whatsapp_templates_kind_known
               check (kind in ('initial', 'reminder_1', 'reminder_2', 'owner_notice')),
  name         text not null constraint whatsapp_templates_name_form check (name ~ '^[a-z0-9_]+$' and length(name) <= 512),
  language     text not null,
  -- The values of {{1}}, {{2}} ...: business_name, caller_name, call_time, caller_phone, what_happened.
  variables    text[] not null,
  state        text not null default 'active' constraint whatsapp_templates_state_known check (state in ('active', 'paused')),
  state_reason text,
  constraint whatsapp_templates_key primary key (whatsapp_connection_id, kind)
);

-- One row for each update that Meta posts. A POST may hold a thousand updates of several tenants. Each update has a job
-- of its own, so that one that fails does not delay the others.
create table whatsapp_events (
  id              bigint generated always as identity primary key,
  -- Null = the number belongs to no tenant (yet). The update is stored and has no effect.
  tenant_id       bigint references tenants on delete cascade,
  phone_number_id text,
  -- The WhatsApp Business account that the update came for. Some updates name nothing else.
  waba_id         text,
  -- Meta's name of the field: messages, user_preferences, smb_message_echoes, message_template_status_update ...
  field           text not null,
  kind            text not null constraint whatsapp_events_kind_known
                  check (kind in ('message', 'status', 'preference', 'echo', 'template_status', 'other')),
  -- The update and the contacts that came with it. Null after retention emptied the row.
  payload         jsonb,
  -- Recognises an update that Meta posts again: SHA-256 of number and message id, or of number, wamid and status, or
  -- else of the content.
  content_key     bytea not null constraint whatsapp_events_once unique,
  deliveries      integer not null default 1,
  received_at     timestamptz not null default now(),
  -- What the update led to, as one word. Null until its job has run.
  outcome         text
)
-- The job updates each row once and leaves a dead version, which also stays in whatsapp_events_waiting. That index is
-- read every minute, and by default dead rows are cleared only when they are 20 % of the table.
with (autovacuum_vacuum_scale_factor = 0.05);
-- The sweep looks for updates without a job.
create index whatsapp_events_waiting on whatsapp_events (received_at) where outcome is null;
-- Updates for numbers that belong to no tenant, listed on /ops.
create index whatsapp_events_of_nobody on whatsapp_events (received_at) where tenant_id is null;
-- Retention empties the oldest first. Emptied rows are not in the index, so the search is cheap on a large table too.
create index whatsapp_events_full on whatsapp_events (received_at) where payload is not null;
