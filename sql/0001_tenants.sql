-- Who we work for, which numbers their customers dial, and through which WhatsApp number we answer.

-- Whether each is '21:00-08:00' or 'fri 15:00-sat 20:30', with two ends that differ.
create function are_quiet_windows(windows text[]) returns boolean
language sql immutable as $$
  select coalesce(bool_and(coalesce(
    w ~ replace(replace('^(DAY TIME-DAY TIME|TIME-TIME)$', 'DAY', '(sun|mon|tue|wed|thu|fri|sat)'),
                'TIME', '([01][0-9]|2[0-3]):[0-5][0-9]')
    and split_part(w, '-', 1) <> split_part(w, '-', 2), false)), true)
  from unnest(windows) w
$$;

create table tenants (
  id                 bigint generated always as identity primary key,
  name               text not null constraint tenants_name_present check (btrim(name) <> ''),
  -- A zone that Postgres does not know raises an error here, not in the middle of a call.
  timezone           text not null default 'Asia/Jerusalem'
                     constraint tenants_timezone_known check (timestamptz '2000-01-01 00:00+00' at time zone timezone is not null),
  -- The owner's own phone, for notices about a warm lead. Null = nobody is told.
  owner_phone        text constraint tenants_owner_phone_e164 check (owner_phone ~ '^\+[1-9][0-9]{6,14}$'),
  -- shadow decides everything and sends nothing: how a business tries Ringback before it goes live.
  mode               text not null default 'shadow'
                     constraint tenants_mode_known check (mode in ('live', 'shadow', 'paused')),

  -- Delays are columns so that they can be read and changed in SQL.
  -- A change affects what is scheduled after it.
  outreach_delay     interval not null default '2 minutes',
  reminder_1_after   interval not null default '2 hours',
  reminder_2_after   interval not null default '24 hours',
  unresponsive_after interval not null default '24 hours',
  -- One person, one conversation: counted from the last message we sent her.
  repeat_window      interval not null default '24 hours',
  -- A call that began longer ago than this when we hear of it is not answered any more.
  oldest_call        interval not null default '2 hours',
  -- How late a first message, or a reminder, may still start. Late is worse than never.
  grace              interval not null default '30 minutes',
  reminder_grace     interval not null default '6 hours',

  -- The statuses of an inbound call that count as missed. 'ANSWER' in this list stands for an answer
  -- by a machine (an IVR, an announcement); an answer by a person is never a missed call.
  missed_statuses    text[] not null default array['ABANDONE', 'NOANSWER', 'CANCEL', 'BUSY', 'TIMEOUT',
                       'FULL', 'JOINEMPTY', 'CONGESTION', 'CHANUNAVAIL', 'INVALIDARGS', 'SSWPREAUTH', 'VOICEMAIL'],
  -- A caller who hung up sooner than this most likely misdialled. 0 = every ring counts.
  min_ring_seconds   integer not null default 0 constraint tenants_min_ring_not_negative check (min_ring_seconds >= 0),
  contact_foreign    boolean not null default false,
  -- Times in which nobody is written to, on the tenant's own clock: '21:00-08:00' every day,
  -- 'fri 15:00-sat 20:30' once a week. A message due in one of them is due at its end instead.
  quiet_windows      text[] not null default '{}'
                     constraint tenants_quiet_windows_form check (are_quiet_windows(quiet_windows)),
  created_at         timestamptz not null default now(),

  constraint tenants_delays_not_negative check (
    least(outreach_delay, reminder_1_after, reminder_2_after, unresponsive_after,
          repeat_window, oldest_call, grace, reminder_grace) >= interval '0'),
  constraint tenants_reminders_in_order check (reminder_1_after <= reminder_2_after)
);

-- The numbers customers dial: E.164, or a star number such as *2700 as it is dialled.
-- Unique over all tenants, for with an unbound token the number alone says whose call it is.
create table tenant_numbers (
  tenant_id  bigint not null references tenants on delete cascade,
  phone      text not null
             constraint tenant_numbers_phone_form check (phone ~ '^(\+[1-9][0-9]{6,14}|\*[0-9]{3,6})$'),
  created_at timestamptz not null default now(),
  constraint tenant_numbers_phone_key primary key (phone)
);
create index tenant_numbers_of_tenant on tenant_numbers (tenant_id);

-- A WhatsApp Cloud API number. No row = the tenant has no way to write to anybody.
create table whatsapp_connections (
  id                   bigint generated always as identity primary key,
  tenant_id            bigint not null references tenants on delete cascade,
  display_phone_number text not null
                       constraint whatsapp_connections_display_e164 check (display_phone_number ~ '^\+[1-9][0-9]{6,14}$'),
  phone_number_id      text not null constraint whatsapp_connections_phone_number_id_key unique,
  -- AES-256-GCM under ENCRYPTION_KEY, bound to this tenant (app/secrets.ts). Never in clear.
  access_token         text not null constraint whatsapp_connections_token_sealed check (access_token like 'v1:%'),
  state                text not null default 'active'
                       constraint whatsapp_connections_state_known check (state in ('active', 'paused')),
  state_reason         text,
  -- Learnt from the first webhook; what updates of templates are told by.
  waba_id              text,
  created_at           timestamptz not null default now()
);
create index whatsapp_connections_of_tenant on whatsapp_connections (tenant_id);

-- The template of a kind of message where a connection does not use the default of
-- app/whatsapp/templates.ts, or where Meta has paused it.
create table whatsapp_templates (
  whatsapp_connection_id bigint not null references whatsapp_connections on delete cascade,
  kind         text not null constraint whatsapp_templates_kind_known
               check (kind in ('initial', 'reminder_1', 'reminder_2', 'owner_notice')),
  name         text not null constraint whatsapp_templates_name_form check (name ~ '^[a-z0-9_]+$' and length(name) <= 512),
  language     text not null,
  -- What {{1}}, {{2}} ... are filled with: business_name, caller_name, call_time, caller_phone, what_happened.
  variables    text[] not null,
  state        text not null default 'active' constraint whatsapp_templates_state_known check (state in ('active', 'paused')),
  state_reason text,
  constraint whatsapp_templates_key primary key (whatsapp_connection_id, kind)
);

-- What a Voicenter account shows at our door. Only the SHA-256 is kept: the token is 256 random bits,
-- so nobody guesses it from the hash, and it is printed once, when it is made.
create table webhook_tokens (
  id         bigint generated always as identity primary key,
  -- Null = unbound: the number dialled decides whose call it is. Only for one operator's own account.
  tenant_id  bigint references tenants on delete cascade,
  hash       bytea not null constraint webhook_tokens_hash_key unique
             constraint webhook_tokens_hash_sha256 check (octet_length(hash) = 32),
  created_at timestamptz not null default now(),
  -- Several tokens may be valid at once, so that one can be replaced without losing a call.
  revoked_at timestamptz
);
