-- What Meta tells us: one row per update, as the webhook brought it. A POST may hold a thousand of them,
-- for several tenants; each is handled by a job of its own, so that a bad one spoils no other.

create table whatsapp_events (
  id              bigint generated always as identity primary key,
  -- Null = the number is not one of ours (yet): kept, and nothing follows from it.
  tenant_id       bigint references tenants on delete cascade,
  phone_number_id text,
  -- The WhatsApp Business account it came for; all that some updates name.
  waba_id         text,
  -- Meta's field: messages, user_preferences, smb_message_echoes, message_template_status_update ...
  field           text not null,
  kind            text not null constraint whatsapp_events_kind_known
                  check (kind in ('message', 'status', 'preference', 'echo', 'template_status', 'other')),
  -- The update itself and the contacts that came with it. Null once retention has emptied it.
  payload         jsonb,
  -- SHA-256 of number + message id, or number + wamid + status, else of the content. Meta repeats.
  content_key     bytea not null constraint whatsapp_events_once unique,
  deliveries      integer not null default 1,
  received_at     timestamptz not null default now(),
  -- What became of it, in a word; null until its job has run.
  outcome         text
);
create index whatsapp_events_waiting on whatsapp_events (received_at) where outcome is null;
