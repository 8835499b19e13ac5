-- The tenants, the numbers that their customers dial, and the tokens of their webhooks.

-- Whether each window is '21:00-08:00' (every day) or 'fri 15:00-sat 20:30' (every week), with different ends.
create function are_quiet_windows(windows text[]) returns boolean
language sql immutable as $$
  select coalesce(bool_and(coalesce(
    w ~ replace(replace('^(DAY TIME-DAY TIME|TIME-TIME)$', 'DAY', '(sun|mon|tue|wed|thu|fri|sat)'),
                'TIME', '([01][0-9]|2[0-3]):[0-5][0-9]')
    and split_part(w, '-', 1) <> split_part(w, '-', 2), false)), true)
  from unnest(windows) w
$$;

-- No row refers to a row of another tenant. A table that always belongs to a tenant has tenant_id not null. If other
-- tables refer to it, its primary key is (id, tenant_id), and their foreign keys contain their own tenant_id. The id
-- alone is unique too, since an identity makes it. The id comes first, so that the key also finds a row by id alone.
--
-- With the primary key (id) and a second unique key for the foreign keys, a missed call and what follows from it would
-- write 7 more index entries. With (tenant_id, id), a statement would need the tenant in order to use the index.

-- A tenant is one business. Its settings are columns, so that they can be read and changed in SQL.
create table tenants (
  id                 bigint generated always as identity primary key,
  name               text not null constraint tenants_name_present check (btrim(name) <> ''),
  -- Postgres raises an error for a zone that it does not know: here, and not later while a call is handled.
  timezone           text not null default 'Asia/Jerusalem' constraint tenants_timezone_known
                     check (timestamptz '2000-01-01 00:00+00' at time zone timezone is not null),
  -- The owner's phone, which receives notices about leads. Null = no notices.
  owner_phone        text constraint tenants_owner_phone_e164 check (owner_phone ~ '^\+[1-9][0-9]{6,14}$'),
  -- The password of the tenant's sign-in to /ops: parameters, salt and scrypt hash. Null = the tenant cannot sign in.
  ops_password       text constraint tenants_ops_password_hashed check (ops_password like 'scrypt:%'),
  -- shadow makes every decision but sends nothing, so that a tenant can try Ringback before it goes live.
  mode               text not null default 'shadow'
                     constraint tenants_mode_known check (mode in ('live', 'shadow', 'paused')),

  -- A changed delay applies to messages that are scheduled after the change.
  outreach_delay     interval not null default '2 minutes',
  reminder_1_after   interval not null default '2 hours',
  reminder_2_after   interval not null default '24 hours',
  unresponsive_after interval not null default '24 hours',
  -- After a message to a caller, further missed calls within this time start no second conversation.
  repeat_window      interval not null default '24 hours',
  -- If a call began longer ago than this when its CDR arrives, no message is sent.
  oldest_call        interval not null default '2 hours',
  -- How late a first message, or a reminder, may still be sent. No message is better than one that comes too late.
  grace              interval not null default '30 minutes',
  reminder_grace     interval not null default '6 hours',

  -- The statuses of an inbound call that count as missed. 'ANSWER' in this list means an answer by a machine
  -- (an IVR or an announcement). A call that a person answered never counts as missed.
  missed_statuses    text[] not null default array['ABANDONE', 'NOANSWER', 'CANCEL', 'BUSY', 'TIMEOUT',
                       'FULL', 'JOINEMPTY', 'CONGESTION', 'CHANUNAVAIL', 'INVALIDARGS', 'SSWPREAUTH', 'VOICEMAIL'],
  -- A caller who hung up sooner than this probably dialled a wrong number. 0 = every call counts.
  min_ring_seconds   integer not null default 0 constraint tenants_min_ring_not_negative check (min_ring_seconds >= 0),
  contact_foreign    boolean not null default false,
  -- Times without messages, in the tenant's time zone. A message that is due in a window is sent at its end.
  quiet_windows      text[] not null default '{}'
                     constraint tenants_quiet_windows_form check (are_quiet_windows(quiet_windows)),
  created_at         timestamptz not null default now(),

  constraint tenants_delays_not_negative check (
    least(outreach_delay, reminder_1_after, reminder_2_after, unresponsive_after,
          repeat_window, oldest_call, grace, reminder_grace) >= interval '0'),
  -- A time that is computed from 'infinity' has no date that a page could show.
  constraint tenants_delays_finite check (
    greatest(outreach_delay, reminder_1_after, reminder_2_after, unresponsive_after,
             repeat_window, oldest_call, grace, reminder_grace) <= interval '100 years'),
  constraint tenants_reminders_in_order check (reminder_1_after <= reminder_2_after)
);

-- The numbers that customers dial: E.164, or a star number such as *2700 as it is dialled.
-- A number is unique across all tenants, because with an unbound token it alone decides the tenant of a call.
create table tenant_numbers (
  tenant_id  bigint not null references tenants on delete cascade,
  phone      text not null
             constraint tenant_numbers_phone_form check (phone ~ '^(\+[1-9][0-9]{6,14}|\*[0-9]{3,6})$'),
  created_at timestamptz not null default now(),
  constraint tenant_numbers_phone_key primary key (phone)
);
create index tenant_numbers_of_tenant on tenant_numbers (tenant_id);

-- The tokens with which Voicenter accounts send CDRs. Only the SHA-256 is stored: a token is 256 random bits, so it
-- cannot be guessed from its hash. The token itself is printed once, when it is made.
create table webhook_tokens (
  id         bigint generated always as identity primary key,
  -- Null = unbound: the dialled number decides the tenant. Meant for an account that belongs to the operator.
  tenant_id  bigint references tenants on delete cascade,
  hash       bytea not null constraint webhook_tokens_hash_key unique
             constraint webhook_tokens_hash_sha256 check (octet_length(hash) = 32),
  created_at timestamptz not null default now(),
  -- A tenant may have several valid tokens, so that one can be replaced without losing a call.
  revoked_at timestamptz
);
