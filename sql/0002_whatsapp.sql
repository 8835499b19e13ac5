-- WhatsApp: the numbers that send, their templates, and the updates that Meta posts.

-- A number of the WhatsApp Cloud API. A tenant without a row cannot send messages.
create table whatsapp_connections (
  id                   bigint generated always as identity,
  tenant_id            bigint not null references tenants on delete cascade,
  display_phone_number text not null
                       constraint whatsapp_connections_display_e164 check (display_phone_number ~ '^\+[1-9][0-9]{6,14}$'),
  phone_number_id      text not null constraint whatsapp_connections_phone_number_id_key unique,
  -- AES-256-GCM under ENCRYPTION_KEY, bound to this tenant. Never in clear text.
  access_token         text not null constraint whatsapp_connections_token_sealed check (access_token like 'v1:%'),
  state                text not null default 'active'
                       constraint whatsapp_connections_state_known check (state in ('active', 'paused')),
  state_reason         text,
  -- The WhatsApp Business account. Template updates name only the account. Meta's Graph API tells it, or the first webhook,
  -- or a person. Null = not known yet.
  waba_id              text,
  -- When Graph last confirmed the number with this token, and when it was last asked. Null = never.
  confirmed_at         timestamptz,
  checked_at           timestamptz,
  -- When Graph or a signed event told that the number belongs to waba_id. Null = only a person said so.
  account_confirmed_at timestamptz,
  -- What Graph did not accept when it was last asked: the access token, the number with this token, or the account of the
  -- number. Null = nothing.
  graph_refusal        text constraint whatsapp_connections_refusal_known
                       check (graph_refusal in ('token', 'number', 'account')),
  -- When a signed event about the number or its account came. It is renewed once an hour, not by every event.
  event_at             timestamptz,
  -- When an event about the number or its account came with a wrong signature: Meta signs with another app secret.
  wrong_signature_at   timestamptz,
  -- The secret of the connection's own Meta app, encrypted like the token. Null = one of WHATSAPP_APP_SECRET.
  app_secret           text constraint whatsapp_connections_secret_sealed check (app_secret like 'v1:%'),
  created_at           timestamptz not null default now(),
  primary key (id, tenant_id)
);
create index whatsapp_connections_of_tenant on whatsapp_connections (tenant_id);
create index whatsapp_connections_of_account on whatsapp_connections (waba_id);

-- Meta's verification of the callback URL (GET), which is for all tenants. One row, once Meta has asked.
create table whatsapp_verification (
  only_row    boolean primary key default true constraint whatsapp_verification_one_row check (only_row),
  -- With the right verify token, and with another one. Null = never.
  verified_at timestamptz,
  refused_at  timestamptz
);

-- The templates of a connection, with what Meta's Graph API and webhooks tell about them. Where there is no row for a kind of
-- message, the connection uses the default template (app/whatsapp/templates.ts).
create table whatsapp_templates (
  id                     bigint generated always as identity primary key,
  tenant_id              bigint not null,
  whatsapp_connection_id bigint not null,
  kind         text not null constraint whatsapp_templates_kind_known
               check (kind in ('initial', 'reminder_1', 'reminder_2', 'owner_notice')),
  -- Only for calls to this number, and only in these hours (tenants.opening_hours) when the message is sent. Null = any.
  dialled_number text constraint whatsapp_templates_number_form check (dialled_number ~ '^(\+[1-9][0-9]{6,14}|\*[0-9]{3,6})$'),
  hours        text constraint whatsapp_templates_hours_known check (hours in ('open', 'closed')),
  name         text not null constraint whatsapp_templates_name_form check (name ~ '^[a-z0-9_]+$' and length(name) <= 512),
  language     text not null,
  -- The values of {{1}}, {{2}} ...: business_name, caller_name, call_time, caller_phone, what_happened.
  variables    text[] not null,
  -- The text with {{1}}, as Meta has it. Null = not known: then messages show the name of the template only.
  body         text,
  -- The buttons in order. A tap on callback or stop comes back as ringback:callback or ringback:stop. other = a button that
  -- Ringback does not know; it gets no payload.
  buttons      text[] not null default '{}'
               constraint whatsapp_templates_buttons_known check (buttons <@ array['callback', 'stop', 'other']),
  button_labels text[] not null default '{}',
  state        text not null default 'active' constraint whatsapp_templates_state_known check (state in ('active', 'paused')),
  state_reason text,
  -- When Meta sent the newest update of the state, by Meta's clock, or was asked. An older update that comes later changes
  -- nothing.
  state_at     timestamptz,
  -- Meta's category: UTILITY, MARKETING ... Null = not told. While a template for customers is MARKETING and no person has
  -- agreed, the connection sends no reminders. category_at is null if a price told it.
  category     text,
  category_at  timestamptz,
  marketing_agreed boolean not null default false,
  -- Meta's id of the template, its word for the state (APPROVED, PENDING, REJECTED ...) and why it was rejected. Null = not
  -- told. MISSING = the account has no such template.
  meta_id      text,
  meta_status  text,
  meta_reason  text,
  -- When Graph was last asked about the template.
  synced_at    timestamptz,
  -- Why Meta did not take the template when it was last submitted: its code and text. Null = it did, or was not asked.
  submit_error text,
  -- What Meta has otherwise than it was set here. Messages follow Meta, and an alert lasts until a person has seen it.
  differs      text[] not null default '{}'
               constraint whatsapp_templates_differs_known check (differs <@ array['body', 'buttons', 'variables']),
  constraint whatsapp_templates_key unique nulls not distinct (whatsapp_connection_id, kind, dialled_number, hours),
  constraint whatsapp_templates_for_customers check (kind <> 'owner_notice' or dialled_number is null and hours is null),
  constraint whatsapp_templates_connection foreign key (whatsapp_connection_id, tenant_id)
    references whatsapp_connections on delete cascade
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
                  check (kind in ('message', 'status', 'preference', 'echo', 'call', 'template_status',
                                  'template_category', 'other')),
  -- The update and the contacts that came with it. Null after retention emptied the row.
  payload         jsonb,
  -- Of a message, a preference or an echo: the ids by which the person may be known (number, user ids, and the wamid of our
  -- message that they answer). Until it has been read, nothing is sent to this person. Null after the row was emptied.
  person_ids      text[],
  -- When Meta sent the POST, by Meta's clock (entry[].time).
  sent_at         timestamptz,
  -- Recognises an update that Meta posts again: SHA-256 of number and message id, or of number, wamid and status, or
  -- else of the content and the time of the POST.
  content_key     bytea not null constraint whatsapp_events_once unique,
  deliveries      integer not null default 1,
  received_at     timestamptz not null default now(),
  -- What the update led to, as one word. Null until its job has run.
  outcome         text,
  -- person_ids are personal data too.
  constraint whatsapp_events_emptied check (payload is not null or person_ids is null)
)
-- The job updates each row once and leaves a dead version, which also stays in whatsapp_events_waiting. That index is
-- read every minute, and by default dead rows are cleared only when they are 20 % of the table.
with (autovacuum_vacuum_scale_factor = 0.05);
-- The sweep looks for updates without a job.
create index whatsapp_events_waiting on whatsapp_events (received_at) where outcome is null;
-- "Has this person written something that was not read yet?", asked before each send. Without fastupdate, because each
-- search would read the whole list of pending entries. num_nulls(outcome) = 1 means that outcome is null. It is written like
-- this so that Postgres does not use whatsapp_events_waiting instead, and reads all that was not read yet.
create index whatsapp_events_unread on whatsapp_events using gin (person_ids) with (fastupdate = off)
  where num_nulls(outcome) = 1;
-- For the alert about updates whose job failed for good.
create index whatsapp_events_failed on whatsapp_events (tenant_id) where outcome = 'job_failed';
-- Updates for numbers that belong to no tenant, listed on /ops.
create index whatsapp_events_unassigned on whatsapp_events (received_at) where tenant_id is null;
-- Retention empties the oldest first. Emptied rows are not in the index, so the search is cheap on a large table too.
create index whatsapp_events_full on whatsapp_events (received_at) where payload is not null;
-- "Was this person reached by a call on WhatsApp?"
create index whatsapp_events_talks on whatsapp_events (tenant_id, received_at) where outcome = 'reached';
-- Updates that came before their number or account was connected.
create index whatsapp_events_unknown on whatsapp_events (id) where outcome in ('number_unknown', 'account_unknown');

-- Reads the updates again that came before their number or account was known, also if the row was changed in SQL.
create function reread_events() returns trigger
language plpgsql as $$
declare
  queued bigint;
begin
  with waiting as (
    update whatsapp_events set outcome = null
    where payload is not null
      and (outcome = 'number_unknown' and phone_number_id = new.phone_number_id
           or outcome = 'account_unknown' and waba_id = new.waba_id)
    returning id, kind
  ), jobs as (
    select count(*) as wanted, array_agg(row('whatsapp_event', json_build_object('eventId', id::text), null, null,
      12::smallint, 'whatsapp_event:' || id, case lane when 'people' then -30 else -10 end::smallint,
      array[lane, lane || ':' || new.tenant_id])::graphile_worker.job_spec order by id) as specs
    -- As EVENT_LANE in app/db/jobs.ts.
    from waiting, lateral (
      select case when kind in ('message', 'preference', 'echo', 'call') then 'people' else 'rest' end as lane) as lanes
  )
  select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs))) into queued
  from jobs where wanted > 0;
  return null;
end
$$;

create trigger reread_events after insert or update of phone_number_id, waba_id on whatsapp_connections
  for each row execute function reread_events();
