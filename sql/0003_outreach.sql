-- What we owe the caller: the missed call, the person, the conversation, and every message in it.
-- These rows are the truth; jobs only wake us up.

-- A person who called and was missed.
create table leads (
  id                bigint generated always as identity primary key,
  tenant_id         bigint not null references tenants on delete cascade,
  phone             text not null constraint leads_phone_e164 check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  state             text not null default 'new' constraint leads_state_known
                    check (state in ('new', 'contacted', 'replied', 'reached_by_phone', 'opted_out', 'unresponsive')),
  -- As she calls herself on WhatsApp. Null = she has not written yet.
  name              text,
  missed_call_count integer not null default 0,
  created_at        timestamptz not null default now(),
  -- Also the lock under which claiming and cancelling meet: whoever does either locks this row first.
  constraint leads_one_per_person unique (tenant_id, phone)
);

-- Under which names WhatsApp knows a person: her wa_id (not always her number), the user id of somebody who
-- hides it, the number she moved to. Saved when a message to her is accepted, and when she writes.
create table lead_identities (
  tenant_id bigint not null references tenants on delete cascade,
  identity  text not null,
  lead_id   bigint not null references leads on delete cascade,
  constraint lead_identities_key primary key (tenant_id, identity)
);
create index lead_identities_of_lead on lead_identities (lead_id);

create table missed_calls (
  id              bigint generated always as identity primary key,
  tenant_id       bigint not null references tenants on delete cascade,
  -- Null = nobody to write to: a withheld number, a line of our own, a word instead of a number.
  lead_id         bigint references leads on delete cascade,
  -- The root's.
  call_id         text not null,
  -- E.164. Null when withheld, or when what came is no telephone number.
  caller_phone    text constraint missed_calls_caller_e164 check (caller_phone ~ '^\+[1-9][0-9]{6,14}$'),
  business_phone  text not null,
  status          text not null,
  called_at       timestamptz not null,
  outreach_state  text not null,
  outreach_reason text not null,
  -- When the first message is due. Null where none was ever scheduled.
  outreach_due_at timestamptz,
  created_at      timestamptz not null default now(),
  constraint missed_calls_once unique (tenant_id, call_id),
  constraint missed_calls_outreach_known check ((outreach_state, outreach_reason) in (
    ('scheduled', 'waiting'), ('scheduled', 'connection_paused'),
    ('sending', 'claimed'),
    ('sent', 'accepted'),
    ('skipped', 'withheld_number'), ('skipped', 'own_number'), ('skipped', 'not_mobile'),
    ('skipped', 'opted_out'), ('skipped', 'tenant_paused'), ('skipped', 'no_connection'),
    ('skipped', 'already_contacted'), ('skipped', 'too_late'), ('skipped', 'shadow'),
    ('cancelled', 'reached_by_phone'), ('cancelled', 'replied'), ('cancelled', 'opted_out'),
    ('cancelled', 'owner_replied'), ('cancelled', 'by_operator'),
    ('failed', 'refused'),
    ('unknown', 'no_answer'))),
  constraint missed_calls_scheduled_has_due check (outreach_state <> 'scheduled' or outreach_due_at is not null)
);
create index missed_calls_of_lead on missed_calls (lead_id, outreach_state);
create index missed_calls_recent on missed_calls (tenant_id, called_at desc);

-- What follows from one missed call: a first message, two reminders, and whatever is answered.
create table lead_conversations (
  id             bigint generated always as identity primary key,
  lead_id        bigint not null references leads on delete cascade,
  missed_call_id bigint not null references missed_calls on delete cascade
                 constraint lead_conversations_one_per_call unique,
  state          text not null default 'open' constraint lead_conversations_state_known
                 check (state in ('open', 'replied', 'reached_by_phone', 'opted_out', 'unresponsive', 'stopped')),
  -- Why it is no longer open: as the state, or owner_replied, by_operator, undeliverable ... where that
  -- says only "stopped".
  reason         text,
  created_at     timestamptz not null default now()
);
create index lead_conversations_of_lead on lead_conversations (lead_id);

create table messages (
  id                     bigint generated always as identity primary key,
  tenant_id              bigint not null references tenants on delete cascade,
  -- Null = belongs to no conversation: a notice to the owner, a message from somebody we do not know.
  lead_conversation_id   bigint references lead_conversations on delete cascade,
  -- Of an incoming message: who wrote, where we know it; of a notice to the owner: whom it is about.
  lead_id                bigint references leads on delete cascade,
  whatsapp_connection_id bigint references whatsapp_connections on delete set null,
  direction              text not null constraint messages_direction_known check (direction in ('out', 'in')),
  kind                   text not null constraint messages_kind_known
                         check (kind in ('initial', 'reminder_1', 'reminder_2', 'opt_out_confirmation', 'owner_notice', 'inbound')),
  state                  text not null constraint messages_state_known
                         check (state in ('scheduled', 'sending', 'accepted', 'sent', 'delivered', 'read', 'failed',
                                          'unknown', 'cancelled', 'skipped', 'shadow', 'received')),
  reason                 text,
  due_at                 timestamptz,
  -- When a sender committed itself to this message. From then on it is sent at most once: whoever
  -- finds it claimed by another never sends it.
  claimed_at             timestamptz,
  accepted_at            timestamptz,
  -- How often WhatsApp said, or we know for sure, that it was not taken, and it was tried again.
  attempts               integer not null default 0,
  wamid                  text,
  -- Under which name WhatsApp knows the person; not always her number.
  wa_id                  text,
  error_code             integer,
  -- What was written, or is to be written as free text. Null of a template, and once retention has emptied it.
  text                   text,
  -- To whom, where it is not the caller of a missed call: the owner, or somebody who wrote "stop".
  to_phone               text constraint messages_to_phone_e164 check (to_phone ~ '^\+[1-9][0-9]{6,14}$'),
  -- What a notice is about, so that nobody is told twice: reply:<conversation>, silence:<conversation> ...
  occasion               text,
  -- As WhatsApp prices it: utility, marketing, service ...; null until a status says so.
  price_category         text,
  created_at             timestamptz not null default now(),
  constraint messages_direction_fits check ((direction = 'in') = (kind = 'inbound')),
  constraint messages_received_is_inbound check ((state = 'received') = (direction = 'in')),
  constraint messages_claimed check (claimed_at is not null or state not in ('sending', 'accepted', 'sent', 'delivered', 'read', 'unknown') or direction = 'in')
);
-- No message of a conversation exists twice, whatever runs twice.
create unique index messages_once_per_conversation on messages (lead_conversation_id, kind)
  where kind in ('initial', 'reminder_1', 'reminder_2');
create index messages_of_conversation on messages (lead_conversation_id) where lead_conversation_id is not null;
-- Whom a report with an unknown id may mean.
create index messages_unsettled on messages (whatsapp_connection_id) where state in ('sending', 'unknown');
-- "Has she written since?"
create index messages_from on messages (tenant_id, wa_id, created_at) where direction = 'in';
create unique index messages_once_per_occasion on messages (tenant_id, occasion) where occasion is not null;
create unique index messages_received_once on messages (tenant_id, wamid) where direction = 'in';
create index messages_by_wamid on messages (wamid) where wamid is not null;
create index messages_of_lead on messages (lead_id, created_at) where lead_id is not null;
create index messages_waiting on messages (due_at) where state in ('scheduled', 'sending');

-- Who must never be written to again by this tenant. To add somebody by hand:
--   insert into opt_outs (tenant_id, phone, source) values (1, '+972502345678', 'operator');
create table opt_outs (
  id         bigint generated always as identity primary key,
  tenant_id  bigint not null references tenants on delete cascade,
  -- Null once the person was erased; the keyed hash (HMAC-SHA256 under ENCRYPTION_KEY) still knows her.
  phone      text constraint opt_outs_phone_e164 check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  phone_hash bytea,
  source     text not null,
  created_at timestamptz not null default now(),
  constraint opt_outs_somebody check (phone is not null or phone_hash is not null),
  constraint opt_outs_phone_key unique (tenant_id, phone),
  constraint opt_outs_phone_hash_key unique (tenant_id, phone_hash)
);
