-- The people who called and were missed, and the messages to and from them.
-- These rows decide which messages must be sent. A job only starts the work.

-- A person who called and was missed.
create table leads (
  id                bigint generated always as identity,
  tenant_id         bigint not null references tenants on delete cascade,
  phone             text not null constraint leads_phone_e164 check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  state             text not null default 'new' constraint leads_state_known
                    check (state in ('new', 'contacted', 'replied', 'reached_by_phone', 'opted_out', 'unresponsive')),
  -- The name in their WhatsApp profile. Null = they have not written yet.
  name              text,
  missed_call_count integer not null default 0,
  -- When a person marked them as called back, from whatever phone. Null = not marked.
  called_back_at    timestamptz,
  -- The state before that, which the undo restores. Null = "called back" did not change it.
  called_back_from  text constraint leads_called_back_from_known
                    check (called_back_from in ('new', 'contacted', 'unresponsive')),
  -- When they last wrote or called on WhatsApp. For 24 hours after that, free text may be sent to them. Null = never.
  heard_at          timestamptz,
  -- When they asked for a call by a button. Null = no request is open. An answered call and "called back" close it.
  callback_requested_at timestamptz,
  -- The request that "called back" closed. The undo opens it again.
  callback_closed   timestamptz,
  -- When the undo of "called back" put them back on the list of waiting people. Null = not undone.
  reopened_at       timestamptz,
  -- The owner answered "later": until this time they are not listed as waiting. Their next message clears it.
  later_until       timestamptz,
  -- When the owner last opened, answered or closed the conversation. What came after that is unread. Null = never.
  read_at           timestamptz,
  -- The due time of the last digest that listed them. Null = no digest has. The next digest lists them again if they called
  -- later, or if that last digest was not sent.
  digested_at       timestamptz,
  -- What the tenant made of them, and when it said so. The value is in the currency of the tenant.
  outcome           text constraint leads_outcome_known check (outcome in ('won', 'lost', 'not_relevant')),
  outcome_value     numeric(12, 2) constraint leads_outcome_value_positive check (outcome_value >= 0),
  outcome_at        timestamptz,
  -- The tenant's own words about them.
  note              text constraint leads_note_length check (length(note) between 1 and 2000),
  created_at        timestamptz not null default now(),
  constraint leads_outcome_dated check ((outcome is null) = (outcome_at is null)),
  constraint leads_value_of_won check (outcome_value is null or outcome = 'won')
)
-- Each call of the lead updates the counter and the state, and no index holds these columns. With free space in
-- the page, Postgres then writes no index entry (a HOT update).
with (fillfactor = 85);
-- The list of people in the API. "+ 0" keeps it from queries for one person: until the table is analysed, it would look better
-- for them than leads_one_per_person, but it reads all leads of the tenant.
create index leads_of_tenant on leads ((tenant_id + 0), id);
-- For the same reason the primary key comes last: its index is used when a foreign key is checked. Of indexes that look
-- equally good, Postgres takes the newest.
--
-- Every transaction that claims or cancels a message for a person first locks their row.
alter table leads add constraint leads_one_per_person unique (tenant_id, phone);
alter table leads add primary key (id, tenant_id);
-- The lists of people who wrote and of those who asked for a call.
create index leads_heard on leads (tenant_id, heard_at, id) where heard_at is not null;
create index leads_callbacks on leads (tenant_id, callback_requested_at) where callback_requested_at is not null;
-- The people with an outcome, by the day on which it was set.
create index leads_closed on leads (outcome, outcome_at) where outcome is not null;

-- The identifiers of a lead on WhatsApp: the wa_id (which may differ from the phone number), the user id of a person
-- who hides their number, a new number. Stored when WhatsApp accepts a message to them, and when they write.
create table lead_identities (
  tenant_id bigint not null,
  identity  text not null,
  lead_id   bigint not null,
  constraint lead_identities_key primary key (tenant_id, identity),
  constraint lead_identities_lead foreign key (lead_id, tenant_id) references leads on delete cascade
);
create index lead_identities_of_lead on lead_identities (lead_id);

-- A missed call and the decision about writing to its caller: one row for each call, also where no message is sent.
create table missed_calls (
  id              bigint generated always as identity,
  tenant_id       bigint not null references tenants on delete cascade,
  -- Null = no person to write to: a withheld number, a number of the tenant, or text that is no number.
  lead_id         bigint,
  -- How they called. A call on WhatsApp has no CDR.
  source          text not null default 'voicenter'
                  constraint missed_calls_source_known check (source in ('voicenter', 'whatsapp')),
  -- The root_call_id of the CDRs, or WhatsApp's id of the call.
  call_id         text not null,
  -- E.164. Null = withheld, or not a phone number.
  caller_phone    text constraint missed_calls_caller_e164 check (caller_phone ~ '^\+[1-9][0-9]{6,14}$'),
  business_phone  text not null,
  status          text not null,
  called_at       timestamptz not null,
  outreach_state  text not null,
  outreach_reason text not null,
  -- When the first message is due. Null = it was never scheduled.
  outreach_due_at timestamptz,
  -- When the job of a scheduled message looks again, and what it waits for (HOLDS in app/states.ts). Null = for nothing.
  hold_until      timestamptz,
  hold_reason     text,
  created_at      timestamptz not null default now(),
  constraint missed_calls_lead foreign key (lead_id, tenant_id) references leads on delete cascade,
  constraint missed_calls_outreach_known check ((outreach_state, outreach_reason) in (
    ('scheduled', 'waiting'), ('scheduled', 'connection_paused'), ('scheduled', 'in_call'),
    ('sending', 'claimed'),
    ('sent', 'accepted'),
    ('skipped', 'withheld_number'), ('skipped', 'own_number'), ('skipped', 'excluded'), ('skipped', 'not_mobile'),
    ('skipped', 'opted_out'), ('skipped', 'tenant_paused'), ('skipped', 'no_connection'),
    ('skipped', 'already_contacted'), ('skipped', 'too_late'), ('skipped', 'holdout'), ('skipped', 'shadow'),
    ('cancelled', 'reached_by_phone'), ('cancelled', 'replied'), ('cancelled', 'opted_out'),
    ('cancelled', 'owner_replied'), ('cancelled', 'by_operator'),
    ('failed', 'refused'),
    ('unknown', 'no_answer'))),
  constraint missed_calls_scheduled_has_due check (outreach_state <> 'scheduled' or outreach_due_at is not null),
  constraint missed_calls_hold_known check (hold_reason in ('in_call', 'after_call', 'quiet', 'connection_paused',
    'previous_not_sent', 'retry')),
  constraint missed_calls_held check ((hold_until is null) = (hold_reason is null))
)
-- As for raw_cdrs: each row changes several times, and its dead versions fill the indexes of open rows.
with (autovacuum_vacuum_scale_factor = 0.05);

create index missed_calls_of_lead on missed_calls (lead_id, outreach_state);
create index missed_calls_recent on missed_calls (tenant_id, called_at desc);
-- These come after missed_calls_recent, for the same reason as the key of leads.
alter table missed_calls add constraint missed_calls_once unique (call_id, tenant_id);
alter table missed_calls add primary key (id, tenant_id);
-- The list of waiting callers on /ops, of all tenants.
create index missed_calls_by_time on missed_calls (called_at, id);
-- Search by a number or its last digits. Reversed, both are a prefix.
create index missed_calls_by_number on missed_calls (reverse(caller_phone) text_pattern_ops);
-- The sweep looks for open outreach without a job. Rows that are done are not in the index, so this stays cheap.
create index missed_calls_waiting on missed_calls (outreach_due_at) where outreach_state in ('scheduled', 'sending');
-- Filter by decision. It holds no open rows, or scheduled, sending and sent would write three entries for each call.
create index missed_calls_by_outreach on missed_calls (outreach_state, outreach_reason, called_at, id)
  where outreach_state in ('sent', 'skipped', 'cancelled', 'failed', 'unknown');

-- What follows from one missed call: a first message, two reminders, and the replies.
create table lead_conversations (
  id             bigint generated always as identity,
  tenant_id      bigint not null,
  -- Null = the person was erased. The row stays, so that what was sent is still counted and never sent again.
  lead_id        bigint,
  missed_call_id bigint not null constraint lead_conversations_one_per_call unique,
  state          text not null default 'open' constraint lead_conversations_state_known
                 check (state in ('open', 'replied', 'reached_by_phone', 'opted_out', 'unresponsive', 'stopped')),
  -- Why it is no longer open: the same as the state, or the reason for 'stopped' (owner_replied, by_operator,
  -- undeliverable ...).
  reason         text,
  created_at     timestamptz not null default now(),
  primary key (id, tenant_id),
  constraint lead_conversations_lead foreign key (lead_id, tenant_id) references leads on delete cascade,
  constraint lead_conversations_call foreign key (missed_call_id, tenant_id) references missed_calls on delete cascade
);
create index lead_conversations_of_lead on lead_conversations (lead_id);
create index lead_conversations_open on lead_conversations (id) where state = 'open';

-- Every message, outgoing and incoming.
create table messages (
  id                     bigint generated always as identity primary key,
  tenant_id              bigint not null references tenants on delete cascade,
  -- Null = not part of a conversation: a notice to the owner, or a message from an unknown person.
  lead_conversation_id   bigint,
  -- The writer of an incoming message, if known. For a notice to the owner: the lead that it is about.
  lead_id                bigint,
  whatsapp_connection_id bigint,
  direction              text not null constraint messages_direction_known check (direction in ('out', 'in')),
  kind                   text not null constraint messages_kind_known
                         check (kind in ('initial', 'reminder_1', 'reminder_2', 'opt_out_confirmation',
                                         'owner_notice', 'manual', 'inbound')),
  state                  text not null constraint messages_state_known
                         check (state in ('scheduled', 'sending', 'accepted', 'sent', 'delivered', 'read', 'failed',
                                          'unknown', 'cancelled', 'skipped', 'shadow', 'received')),
  reason                 text,
  due_at                 timestamptz,
  -- As in missed_calls, which holds them for a first message.
  hold_until             timestamptz,
  hold_reason            text,
  -- When a job claimed this message in order to send it. A message that another job claimed is never sent again.
  claimed_at             timestamptz,
  accepted_at            timestamptz,
  -- How often it was certain that WhatsApp did not accept the message, and it was scheduled again.
  attempts               integer not null default 0,
  wamid                  text,
  -- WhatsApp's identifier of the person. It may differ from their phone number.
  wa_id                  text,
  error_code             integer,
  -- The text received or sent; of a template, the text that the person got, where its body is known. Of a notice, what it is
  -- about. Null after retention emptied it.
  text                   text,
  -- The button of ours that the person tapped. Null = another message.
  button                 text constraint messages_button_known check (button in ('callback', 'stop')),
  -- The keyword that the person wrote or tapped. Null = another message.
  keyword                text constraint messages_keyword_known check (keyword in ('stop', 'start')),
  -- The template that it was sent with. Null = free text, or not sent yet.
  template_name          text,
  template_language      text,
  -- The recipient, if it is not the caller of a missed call: the owner, or a person who wrote "stop".
  to_phone               text constraint messages_to_phone_e164 check (to_phone ~ '^\+[1-9][0-9]{6,14}$'),
  -- What a notice is about, so that no notice is sent twice: reply:<wamid>, third_call:<missed call> ...
  occasion               text,
  -- Of a reply by hand: one submission of the form, or 'api:' and the client's key, so that a second one sends nothing. Null =
  -- of no submission, or emptied by retention.
  idempotency_key        text constraint messages_idempotency_key_length check (length(idempotency_key) between 1 and 260),
  -- WhatsApp's price category: utility, marketing, service ...; null until a status reports it.
  price_category         text,
  created_at             timestamptz not null default now(),
  constraint messages_conversation foreign key (lead_conversation_id, tenant_id)
    references lead_conversations on delete cascade,
  constraint messages_lead foreign key (lead_id, tenant_id) references leads on delete cascade,
  constraint messages_connection foreign key (whatsapp_connection_id, tenant_id)
    references whatsapp_connections on delete set null (whatsapp_connection_id),
  constraint messages_direction_fits check ((direction = 'in') = (kind = 'inbound')),
  constraint messages_received_is_inbound check ((state = 'received') = (direction = 'in')),
  constraint messages_hold_known check (hold_reason in ('in_call', 'after_call', 'quiet', 'connection_paused',
    'previous_not_sent', 'retry')),
  constraint messages_held check ((hold_until is null) = (hold_reason is null)),
  constraint messages_claimed check (
    claimed_at is not null
    or state not in ('sending', 'accepted', 'sent', 'delivered', 'read', 'unknown') or direction = 'in')
)
-- As for raw_cdrs: each status update leaves a dead version.
with (autovacuum_vacuum_scale_factor = 0.05);

-- Even if a job runs twice, each message of a conversation exists once, each notice once, and each reply once.
create unique index messages_once_per_conversation on messages (lead_conversation_id, kind)
  where kind in ('initial', 'reminder_1', 'reminder_2');
create unique index messages_once_per_occasion on messages (tenant_id, occasion) where occasion is not null;
create unique index messages_once_per_key on messages (tenant_id, idempotency_key) where idempotency_key is not null;
create unique index messages_received_once on messages (tenant_id, wamid) where direction = 'in';
create index messages_of_conversation on messages (lead_conversation_id) where lead_conversation_id is not null;
create index messages_of_lead on messages (lead_id, created_at) where lead_id is not null;
create index messages_by_wamid on messages (wamid) where wamid is not null;
-- "Has this person written since?"
create index messages_from on messages (tenant_id, wa_id, created_at) where direction = 'in';
-- The messages that a status with an unknown wamid may belong to.
create index messages_unsettled on messages (whatsapp_connection_id) where state in ('sending', 'unknown');
-- The sweep looks for due messages without a job.
create index messages_waiting on messages (due_at) where state in ('scheduled', 'sending');
-- Claims whose worker may be dead. They are read every few seconds.
create index messages_claimed on messages (claimed_at) where state = 'sending';
-- What was sent within the last hour, for /metrics.
create index messages_sent on messages (claimed_at) where claimed_at is not null;
-- "Have the last three people got the same error?"
create index messages_failed on messages (whatsapp_connection_id, claimed_at) where state = 'failed';
create index messages_unknown on messages (id) where state = 'unknown';
-- Messages that a person marked as delivered or failed. A later status from WhatsApp still applies.
create index messages_settled_by_hand on messages (whatsapp_connection_id)
  where state in ('delivered', 'failed') and reason = 'by_operator';
-- For retention.
create index messages_full on messages (created_at) where text is not null;

-- People to whom this tenant must never write again. To add a number by hand:
--   insert into opt_outs (tenant_id, phone, source) values (1, '+972502345678', 'operator');
create table opt_outs (
  id         bigint generated always as identity primary key,
  tenant_id  bigint not null references tenants on delete cascade,
  -- Null after the person was erased. The keyed hash (HMAC-SHA256 under ENCRYPTION_KEY) still matches their number.
  phone      text constraint opt_outs_phone_e164 check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  phone_hash bytea,
  -- How the person said so: typed, user_preferences, whatsapp_131050 ... Or operator or import: it was set by hand, and only
  -- then may it be removed by hand.
  source     text not null,
  -- The person said so, and it was set by hand as well. It stays when a switch in WhatsApp takes back what the person said.
  also_by_hand boolean not null default false,
  created_at timestamptz not null default now(),
  -- When it was said last. The tenant may answer by hand a person who has written something else since.
  repeated_at timestamptz not null default clock_timestamp(),
  constraint opt_outs_identified check (phone is not null or phone_hash is not null),
  constraint opt_outs_phone_key unique (tenant_id, phone),
  constraint opt_outs_phone_hash_key unique (tenant_id, phone_hash)
);

-- Who is on the line: events of Voicenter's Pop-Up Screen, and calls in the answers of its Active Calls. Rows are only
-- added, and an event that comes again adds none, so the order of arrival does not matter (app/outreach/line.ts). They
-- are deleted after a day.
create table live_calls (
  id           bigint generated always as identity,
  tenant_id    bigint not null references tenants on delete cascade,
  -- The customer, in E.164. Of two spellings of a number always the same one (personOf in app/phone.ts).
  phone        text not null constraint live_calls_phone_e164 check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  -- The id of the call, as in its CDR. Each extension that rings has its own events.
  call_id      text not null constraint live_calls_call_id_length check (length(call_id) between 1 and 128),
  extension    text not null constraint live_calls_extension_length check (length(extension) <= 128),
  phase        text not null constraint live_calls_phase_known check (phase in ('ringing', 'talking', 'hangup')),
  -- When the extension answered, in Unix seconds by Voicenter's clock. 0 = it did not, or the event does not say.
  answered_at  double precision not null,
  is_answered  boolean not null,
  source       text not null constraint live_calls_source_known check (source in ('popup', 'active_calls')),
  received_at  timestamptz not null default now(),
  -- When messages to this lead were cancelled because of this talk. A CDR should confirm it.
  cancelled_at timestamptz,
  lead_id      bigint,
  constraint live_calls_lead foreign key (lead_id, tenant_id) references leads on delete cascade,
  constraint live_calls_once primary key (tenant_id, phone, call_id, extension, phase, answered_at, is_answered)
);
create index live_calls_by_receipt on live_calls (received_at);
create index live_calls_cancelled on live_calls (cancelled_at) where cancelled_at is not null;
-- The legs that the last answer of Active Calls showed.
create index live_calls_active on live_calls (tenant_id, received_at) where source = 'active_calls';

-- The known people that each popup token asked about, so that a stolen token cannot read the whole list.
create table popup_lookups (
  tenant_id        bigint not null,
  webhook_token_id bigint not null,
  phone            text not null,
  -- The first time within an hour.
  looked_up_at     timestamptz not null default now(),
  -- Too many people had been shown within the hour.
  is_refused       boolean not null,
  constraint popup_lookups_key primary key (webhook_token_id, phone),
  constraint popup_lookups_token foreign key (webhook_token_id, tenant_id)
    references webhook_tokens (id, tenant_id) on delete cascade
);
create index popup_lookups_by_time on popup_lookups (looked_up_at);

-- When each tenant's Active Calls were asked for and answered, so that all processes together ask once in five seconds.
create table active_calls_requests (
  tenant_id   bigint constraint active_calls_requests_key primary key references tenants on delete cascade,
  asked_at    timestamptz not null,
  answered_at timestamptz
);

-- People to whom this tenant never writes, and who cause no notice: staff, suppliers. They may write and opt out like
-- other people. With npm run tenant -- exclusion add, what is pending for a number is cancelled at once. After an insert in
-- SQL, the claim of the message finds the row.
create table excluded_numbers (
  id         bigint generated always as identity primary key,
  tenant_id  bigint not null references tenants on delete cascade,
  -- As in tenant_numbers. Null after the person was erased; then the keyed hash matches their number, as in opt_outs.
  phone      text constraint excluded_numbers_phone_form check (phone ~ '^(\+[1-9][0-9]{6,14}|\*[0-9]{3,6})$'),
  phone_hash bytea,
  -- Who it is, for the tenant. Null = no note.
  note       text constraint excluded_numbers_note_length check (length(note) <= 200),
  created_at timestamptz not null default now(),
  constraint excluded_numbers_identified check (phone is not null or phone_hash is not null),
  constraint excluded_numbers_erased check (phone is not null or note is null),
  constraint excluded_numbers_phone_key unique (tenant_id, phone),
  constraint excluded_numbers_phone_hash_key unique (tenant_id, phone_hash)
);

-- select cancel_outreach(<missed call id>): cancels the messages that follow from a missed call. It answers
--   'cancelled'          nothing was sent, and nothing will be
--   'reminders stopped'  the first message was sent or is being sent; no other follows
--   'nothing to cancel'  the outreach had ended
--   null                 there is no such missed call
-- It is not enough to remove the job: the sweep adds a job for each due row that has none. The function locks the lead
-- first, like every transaction that claims or cancels. So a message is either sent or cancelled, never both.
create function cancel_outreach(missed_call bigint) returns text
language plpgsql as $$
declare
  call missed_calls;
begin
  perform from leads where id = (select lead_id from missed_calls where id = missed_call) for update;
  select * into call from missed_calls where id = missed_call for update;
  if not found then
    return null;
  end if;

  update messages m set state = 'cancelled', reason = 'by_operator', hold_until = null, hold_reason = null
  from lead_conversations c
  where c.missed_call_id = call.id and m.lead_conversation_id = c.id and m.state = 'scheduled';

  -- A late status 'delivered' reopens an undeliverable conversation. With the reason `by_operator` it stays stopped.
  update lead_conversations set reason = 'by_operator' where missed_call_id = call.id and reason = 'undeliverable';

  -- Also while the first message is being sent: its job schedules reminders only if the conversation is open.
  update lead_conversations set state = 'stopped', reason = 'by_operator'
  where missed_call_id = call.id and state = 'open';
  if found then
    perform graphile_worker.remove_job('lead_reminder:' || c.id || ':' || n)
    from lead_conversations c, generate_series(1, 2) n where c.missed_call_id = call.id;
  elsif call.outreach_state <> 'scheduled' then
    return 'nothing to cancel';
  end if;

  if call.outreach_state <> 'scheduled' then
    return 'reminders stopped';
  end if;
  update missed_calls set outreach_state = 'cancelled', outreach_reason = 'by_operator', hold_until = null, hold_reason = null
  where id = call.id;
  perform graphile_worker.remove_job('lead_outreach:' || call.id);
  return 'cancelled';
end
$$;
