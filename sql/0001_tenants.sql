-- The tenants, the numbers that their customers dial, and the tokens of their webhooks.

-- Whether each window is '21:00-08:00' (every day) or 'fri 15:00-sat 20:30' (every week), with different ends, or
-- 'shabbat' or 'holidays'.
create function are_quiet_windows(windows text[]) returns boolean
language sql immutable as $$
  select coalesce(bool_and(coalesce(w in ('shabbat', 'holidays') or
    w ~ replace(replace('^(DAY TIME-DAY TIME|TIME-TIME)$', 'DAY', '(sun|mon|tue|wed|thu|fri|sat)'),
                'TIME', '([01][0-9]|2[0-3]):[0-5][0-9]')
    and split_part(w, '-', 1) <> split_part(w, '-', 2), false)), true)
  from unnest(windows) w
$$;

-- Whether a place is a city of the list in app/outreach/calendar.ts, or 'lat,lon' in degrees, such as 31.77,35.21.
create function is_location(place text) returns boolean
language sql immutable as $$
  select case
    when place in ('Tel Aviv', 'Jerusalem', 'Haifa', 'Beer Sheva', 'Eilat', 'Ashdod', 'Ashkelon', 'Bnei Brak', 'Hadera',
                   'Herzliya', 'Holon', 'Karmiel', 'Kiryat Shmona', 'Modiin', 'Nahariya', 'Netanya', 'Petah Tikva',
                   'Ramat Gan', 'Rehovot', 'Rishon LeZion', 'Safed', 'Tiberias') then true
    when place ~ '^-?[0-9]{1,2}([.][0-9]{1,4})?,-?[0-9]{1,3}([.][0-9]{1,4})?$' then
      abs(split_part(place, ',', 1)::numeric) <= 90 and abs(split_part(place, ',', 2)::numeric) <= 180
    else false end
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
  -- The share of callers to whom nothing is sent, so that the effect of the messages can be measured: recovery_lift().
  holdout_percent    integer not null default 0
                     constraint tenants_holdout_percent_range check (holdout_percent between 0 and 50),
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
  -- Times without first messages and reminders, in the tenant's time zone: '21:00-08:00', 'fri 15:00-sat 20:30', and the
  -- words 'shabbat' and 'holidays' (see quiet_days). A message that is due in a window is sent at its end.
  quiet_windows      text[] not null default '{}'
                     constraint tenants_quiet_windows_form check (are_quiet_windows(quiet_windows)),
  -- Further times without reminders. A first message answers a call, so it may be welcome when a reminder is not.
  reminder_quiet_windows text[] not null default '{21:00-08:00,shabbat,holidays}'
                     constraint tenants_reminder_quiet_windows_form check (are_quiet_windows(reminder_quiet_windows)),
  -- When a person chose the quiet windows; no windows is a choice as well. Null = never.
  quiet_chosen_at    timestamptz,
  -- When the last digest of silent callers, and the last weekly line, was due for which the owner's notice was added, if there
  -- was something to say. Null = none yet.
  digest_at          timestamptz,
  week_at            timestamptz,
  -- Where the sun sets for 'shabbat' and 'holidays'.
  location           text not null default 'Tel Aviv' constraint tenants_location_known check (is_location(location)),
  -- Ask Voicenter's Active Calls before each message whether the person is on the line.
  last_look          boolean not null default false,
  -- The languages in which the templates are submitted to Meta. The first is used.
  languages          text[] not null default '{he}' constraint tenants_languages_known
                     check (languages <@ array['he', 'en', 'ar', 'ru'] and cardinality(languages) > 0),
  -- When the business is open: '09:00-18:00' or 'sun 09:00-sun 18:00'. Templates may be for open or closed hours. None = the
  -- hours are not known, and no such template is used.
  opening_hours      text[] not null default '{}' constraint tenants_opening_hours_form
                     check (are_quiet_windows(opening_hours) and not opening_hours && array['shabbat', 'holidays']),
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
  -- When the first call to it was classified. Null = none came yet.
  seen_at    timestamptz,
  -- When a person confirmed that customers dial it, before a call came.
  confirmed_at timestamptz,
  constraint tenant_numbers_phone_key primary key (phone)
);
create index tenant_numbers_of_tenant on tenant_numbers (tenant_id);

-- The tokens with which Voicenter accounts send CDRs and the events of the Pop-Up Screen, and programs use the API. Only the
-- SHA-256 is stored: a token is 256 random bits, so it cannot be guessed from its hash. The token itself is printed once, when
-- it is made.
create table webhook_tokens (
  id         bigint generated always as identity primary key,
  -- Null = unbound: the dialled number decides the tenant. Meant for an account that belongs to the operator.
  tenant_id  bigint references tenants on delete cascade,
  -- What the token opens, and nothing else: an endpoint for Voicenter, or /api/v1. Agents' browsers know a popup token, and an
  -- api token reads and answers people.
  kind       text not null default 'cdr' constraint webhook_tokens_kind_known check (kind in ('cdr', 'popup', 'api')),
  hash       bytea not null constraint webhook_tokens_hash_key unique
             constraint webhook_tokens_hash_sha256 check (octet_length(hash) = 32),
  created_at timestamptz not null default now(),
  -- A tenant may have several valid tokens, so that one can be replaced without losing a call.
  revoked_at timestamptz,
  constraint webhook_tokens_unbound_is_cdr check (tenant_id is not null or kind = 'cdr'),
  constraint webhook_tokens_of_tenant unique (id, tenant_id)
);

-- Shabbat and the work-free holidays of Israel at the locations of the tenants: from candle-lighting to nightfall.
-- app/outreach/calendar.ts computes them. The program fills this table from a year back to three years ahead when a tenant
-- is added or changed, and the worker within a minute of a change in SQL. Only quiet_until() reads it.
create table quiet_days (
  location     text not null,
  -- The window of a tenant that the day belongs to. A holiday on a Saturday has two rows.
  quiet_window text not null constraint quiet_days_window_known check (quiet_window in ('shabbat', 'holidays')),
  name         text not null constraint quiet_days_name_known check (name in (
    'shabbat', 'rosh_hashana', 'yom_kippur', 'sukkot', 'shemini_atzeret', 'pesach', 'last_of_pesach', 'shavuot')),
  starts_at    timestamptz not null,
  ends_at      timestamptz not null,
  constraint quiet_days_key primary key (location, starts_at, quiet_window),
  constraint quiet_days_in_order check (starts_at < ends_at)
);

-- When a quiet window that holds a moment ends; null = it does not hold it. By local time, so that 08:00 stays 08:00 on the
-- night when the clocks change.
create function quiet_window_end(quiet text, moment timestamptz, zone text, place text) returns timestamptz
language plpgsql stable as $$
declare
  from_text constant text := split_part(quiet, '-', 1);
  to_text   constant text := split_part(quiet, '-', 2);
  days      constant text[] := '{sun,mon,tue,wed,thu,fri,sat}';
  -- Minutes of the day, or of the week where the window names days.
  weekly    constant boolean := quiet like '% %';
  period    constant integer := case when weekly then 7 * 1440 else 1440 end;
  local     constant timestamp := moment at time zone zone;
  now_at    integer := extract(hour from local) * 60 + extract(minute from local);
  start_at  integer;
  end_at    integer;
  ends      timestamp;
  ends_at   timestamptz;
begin
  if quiet in ('shabbat', 'holidays') then
    if (select min(d.starts_at) > moment or max(d.starts_at) < moment from quiet_days d where d.location = place)
       is not false then
      raise exception 'quiet_days does not cover % at %', place, moment
        using hint = 'The worker fills it from a year back to three years ahead, within a minute of a change of location.';
    end if;
    return (select max(d.ends_at) from quiet_days d
            where d.location = place and d.quiet_window = quiet and d.starts_at <= moment and d.ends_at > moment);
  end if;
  start_at := extract(epoch from right(from_text, 5)::time) / 60;
  end_at := extract(epoch from right(to_text, 5)::time) / 60;
  if weekly then
    now_at := now_at + extract(dow from local) * 1440;
    start_at := start_at + (array_position(days, left(from_text, 3)) - 1) * 1440;
    end_at := end_at + (array_position(days, left(to_text, 3)) - 1) * 1440;
  end if;
  -- A window such as 21:00-08:00 goes over midnight, or over the end of the week.
  if (start_at < end_at and (now_at < start_at or now_at >= end_at))
     or (start_at >= end_at and now_at < start_at and now_at >= end_at) then
    return null;
  end if;
  ends := date_trunc('day', local) + make_interval(mins => end_at - now_at / 1440 * 1440
                                                           + case when end_at <= now_at then period else 0 end);
  ends_at := ends at time zone zone;
  -- In the hour that comes twice in autumn, the window ends the first time.
  if (ends_at - interval '1 hour') at time zone zone = ends then
    ends_at := ends_at - interval '1 hour';
  end if;
  return case when ends_at > moment then ends_at end;
end
$$;

-- select * from quiet_until(1): until when a tenant sends no first messages and no reminders, and the windows that this
-- time is in, one after the other. quiet_until is null where messages may be sent. quiet_until(1, moment) asks about another
-- time. After shabbat and holidays, messages follow within five minutes, each person at their own second.
create function quiet_until(tenant bigint, moment timestamptz default now())
returns table (message text, quiet_until timestamptz, windows text[])
language plpgsql stable as $$
declare
  t     tenants;
  names text[];
  quiet text;
  ends  timestamptz;
begin
  select * into t from tenants where id = tenant;
  if not found then return; end if;
  foreach message in array array['first message', 'reminder'] loop
    names := t.quiet_windows || case when message = 'reminder' then t.reminder_quiet_windows else '{}' end;
    quiet_until := null;
    windows := '{}';
    -- Each turn leaves one window. Windows that cover the whole week never end.
    for turn in 0 .. cardinality(names) * 8 loop
      ends := null;
      foreach quiet in array names loop
        ends := quiet_window_end(quiet, coalesce(quiet_until, moment), t.timezone, t.location);
        exit when ends is not null;
      end loop;
      exit when ends is null;
      quiet_until := ends;
      if quiet <> all (windows) then windows := windows || quiet; end if;
    end loop;
    return next;
  end loop;
end
$$;
