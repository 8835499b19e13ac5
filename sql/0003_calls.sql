-- What Voicenter reports: CDRs (by webhook, or from the Call Log API) and deliveries that could not be read.

-- Every CDR that was accepted.
--
-- A CDR is inserted once and updated once, when it is classified. The update changes indexed columns, so both write an
-- entry into every index that holds the row: 17 entries for an answered call. (With 20, all indexes together were 25 %
-- larger.) So each index below must be worth this cost, and holds only the rows that its query looks for.
create table raw_cdrs (
  id              bigint generated always as identity primary key,
  -- The tenant of the token that the CDR came with. Null = the token was unbound. Where it is set, tenant_id has the same value.
  token_tenant_id bigint,
  -- The tenant of the call: the token's tenant, or the one whose number was dialled. Null = no tenant (yet).
  -- 0009_tenant_of_cdr.sql replaces this foreign key.
  tenant_id       bigint references tenants on delete cascade,
  call_id         text not null constraint raw_cdrs_call_id_length check (length(call_id) between 1 and 128),
  -- The id of the call's first CDR. When stored: OriginalIvrUniqueID, else call_id. The task voicenter_cdr follows a
  -- chain of transfers to its end, and separates callers that share a call_id: the second has call_id || '#2'.
  -- All CDRs with the same (tenant_id, root_call_id) are legs of one call and are classified together.
  root_call_id    text not null constraint raw_cdrs_root_call_id_length check (length(root_call_id) between 1 and 150),
  -- push = by webhook. If all CDRs of a call are call_log, its webhook was lost.
  source          text not null default 'push' constraint raw_cdrs_source_known check (source in ('push', 'call_log')),
  -- The CDR as parsed, made safe for Postgres (no NUL, no lone surrogates, long numbers as text), and its bytes as
  -- received. Retention sets both, the facts and the campaign to null. It keeps the row, by which the same CDR is recognised if it
  -- comes again.
  payload         jsonb,
  body            bytea,
  -- Of a CDR with a long payload (a transcript): the fields that classification needs, each cut to a hundred characters.
  -- So classifying a call never reads a long payload. Null = the payload is short, and is read itself.
  facts           jsonb constraint raw_cdrs_facts_short check (pg_column_size(facts) <= 8192),
  -- The advertisement that led to the call: utm_* and gclid of its CustomData. Null = it has none, or retention emptied it.
  campaign        jsonb constraint raw_cdrs_campaign_short check (pg_column_size(campaign) <= 8192),
  content_hash    bytea not null constraint raw_cdrs_content_hash_sha256 check (octet_length(content_hash) = 32),
  received_at     timestamptz not null default now(),
  deliveries      integer not null default 1 constraint raw_cdrs_deliveries_positive check (deliveries > 0),

  -- The task voicenter_cdr sets the columns below; until then they are null.
  called_at       timestamptz,
  -- How called_at was read: the tenant's wall clock, a true instant, or not readable: then it is the date at the head of
  -- call_id, or else the time of receipt.
  clock           text constraint raw_cdrs_clock_known check (clock in ('shifted', 'plain', 'call_id', 'received')),
  business_phone  text,
  -- The customer's number in E.164: the caller, or the person whom the tenant called. Null = no number, or erased.
  customer_phone  text,
  -- The customer with whom a person spoke in this leg. Null = no person spoke with a customer.
  reached_phone   text,
  -- Five seconds after the end of that talk. A missed call of the same person that began before needs no message.
  reached_until   timestamptz,
  verdict         text constraint raw_cdrs_verdict_known
                  check (verdict in ('missed', 'answered', 'not_inbound', 'unmatched_number', 'unknown')),
  reason          text,
  constraint raw_cdrs_verdict_has_reason check ((verdict is null) = (reason is null)),
  -- A payload of 2,048 bytes of text is never larger than this.
  constraint raw_cdrs_long_payload_has_facts check (facts is not null or pg_column_size(payload) <= 32768)
)
-- Classification leaves a dead version of each row. By default, autovacuum clears them when they are 20 % of the table.
-- In a table of ten million rows these would be two million, with as many dead entries in the indexes of open rows,
-- which are read every minute.
with (autovacuum_vacuum_scale_factor = 0.05);

-- "Has a person spoken with the caller since?"
create index raw_cdrs_reached on raw_cdrs (tenant_id, reached_phone, reached_until) where reached_phone is not null;
-- When a number is added, these CDRs are classified again: calls to it, and CDRs without a tenant that contain it.
create index raw_cdrs_unmatched on raw_cdrs (business_phone) where verdict = 'unmatched_number' or tenant_id is null;
-- Finds each number that belongs to no tenant once, however often it was dialled: a query steps from number to number.
create index raw_cdrs_unmatched_numbers on raw_cdrs ((coalesce(tenant_id, 0)), business_phone)
  where verdict = 'unmatched_number';
-- The sweep looks for CDRs without a job. A batch takes waiting calls along, in turn from each tenant.
create index raw_cdrs_unclassified on raw_cdrs (tenant_id, received_at) where verdict is null;
create index raw_cdrs_from_call_log on raw_cdrs (tenant_id, call_id) where source = 'call_log';
-- "What has come from this tenant since?": the last webhook, a replay, call_report().
create index raw_cdrs_of_tenant_by_receipt on raw_cdrs (tenant_id, received_at) include (source);
-- The list of calls on /ops, newest first. A CDR that is not classified yet is listed by its time of receipt.
create index raw_cdrs_by_time on raw_cdrs ((coalesce(called_at, received_at)), id);
-- The same for one tenant. The included columns let the page Today count a month of calls from the index alone.
create index raw_cdrs_of_tenant_by_time on raw_cdrs (tenant_id, (coalesce(called_at, received_at)), id)
  include (called_at, received_at, verdict, root_call_id);
-- campaign_report(). Most calls have no campaign, and cost no entry.
create index raw_cdrs_campaigns on raw_cdrs (tenant_id, (coalesce(called_at, received_at))) where campaign is not null;
-- The few calls without a decision, among many others.
create index raw_cdrs_undecided on raw_cdrs (verdict, (coalesce(called_at, received_at)), id)
  where verdict in ('unmatched_number', 'unknown');
-- Search by a number or its last digits. Reversed, both are a prefix.
create index raw_cdrs_by_number on raw_cdrs (reverse(customer_phone) text_pattern_ops) where customer_phone is not null;
-- Retention empties the oldest first, but no CDR that is not classified.
create index raw_cdrs_full on raw_cdrs (received_at) where payload is not null and verdict is not null;

-- The last three find the CDRs of one call. Until the table is analysed, an index on (tenant_id, ...) looks as good for that,
-- but it reads all CDRs of the tenant. Of indexes that look equally good, Postgres takes the newest.
--
-- A CDR that comes again is not stored again: it only increments deliveries. The call id alone is not the key, since
-- the two legs of a Click2Call share one. Nulls are not distinct, or CDRs of an unbound token would be stored twice.
-- call_id comes first, so that the key also answers "which CDRs have this CallID?". Call ids grow with time, so new
-- entries go to the end of the index.
alter table raw_cdrs add constraint raw_cdrs_same_record unique nulls not distinct (call_id, token_tenant_id, content_hash);
-- "Is one of the CDRs with this CallID not classified yet?" Queries say coalesce(verdict, '') = '', here and below. For
-- "verdict is null", Postgres may read all of raw_cdrs_unclassified, which was empty when the plan was made.
create index raw_cdrs_waiting on raw_cdrs (call_id) where coalesce(verdict, '') = '';
-- The legs of a call, and of very many legs those that are not classified yet.
create index raw_cdrs_by_root on raw_cdrs (root_call_id, (coalesce(verdict, '')));

-- Calls with so many CDRs that not all are read again when another one arrives. A phone system sends a handful for a call.
create table large_calls (
  tenant_id    bigint not null references tenants on delete cascade,
  root_call_id text not null,
  -- The ids of the CDRs that decide the verdict, at most a few dozen (decidingLegs in app/voicenter/classify.ts).
  deciding     bigint[] not null,
  -- A hash of the settings by which they were selected. If these change, all CDRs of the call are read once more.
  rules_hash   text not null,
  constraint large_calls_once primary key (tenant_id, root_call_id)
);

-- Deliveries of a known sender that were refused. They are kept so that no call is lost and a person can check them.
create table rejected_deliveries (
  id           bigint generated always as identity primary key,
  -- The tenant of the token. Null = the token was unbound.
  tenant_id    bigint references tenants on delete cascade,
  -- call_log = an entry of Voicenter's call log.
  source       text not null constraint rejected_deliveries_source_known
               check (source in ('voicenter', 'whatsapp', 'call_log')),
  reason       text not null,
  content_type text,
  -- The exact bytes; for an array, those of the element. Null after retention, or a person on /ops, removed them.
  body         bytea,
  body_hash    bytea not null,
  -- Senders repeat what was refused. A repeat is counted, and not stored again.
  deliveries   integer not null default 1,
  received_at  timestamptz not null default now(),
  -- When a person discarded it on /ops. The row stays, so that a repeat is recognised.
  discarded_at timestamptz,
  -- When a person last had it read again, and what happened. stored = its CDRs are stored; if it was an array, a CDR
  -- that is still not readable has a row of its own here. rejected = still not readable; reason says why.
  reread_at     timestamptz,
  reread_result text constraint rejected_deliveries_reread_known check (reread_result in ('stored', 'rejected')),
  constraint rejected_deliveries_reread_has_result check ((reread_at is null) = (reread_result is null)),
  constraint rejected_deliveries_same_body unique nulls not distinct (source, tenant_id, body_hash)
);
create index rejected_deliveries_open on rejected_deliveries (received_at, id)
  where discarded_at is null and reread_result is distinct from 'stored';
-- For retention.
create index rejected_deliveries_full on rejected_deliveries (received_at) where body is not null;

-- Access to a tenant's calls in Voicenter's Call Log API. They are compared with the stored CDRs, every hour and after
-- an outage, and missing ones are stored. No row = the tenant's calls are not compared.
create table call_log_access (
  tenant_id     bigint constraint call_log_access_key primary key references tenants on delete cascade,
  -- Voicenter accepts the code of an organisation (from allowed IP addresses), or a bearer token.
  kind          text not null constraint call_log_access_kind_known check (kind in ('code', 'bearer')),
  -- AES-256-GCM under ENCRYPTION_KEY, bound to this tenant. Never in clear text.
  credential    text not null constraint call_log_access_credential_sealed check (credential like 'v1:%'),
  -- Calls that began earlier are not compared: the tenant had no webhook yet.
  watched_since timestamptz not null,
  -- Every call that began earlier was compared at least once.
  checked_until timestamptz not null,
  -- When the job call_log:<tenant_id> is due.
  next_check_at timestamptz not null default now(),
  -- Why the last check failed, as one of our own words and never as Voicenter's text. Null = it succeeded.
  last_error    text constraint call_log_access_error_is_a_word check (last_error ~ '^[a-z0-9_]{1,40}$'),
  failing_since timestamptz,
  created_at    timestamptz not null default now(),
  constraint call_log_access_failing_has_error check ((last_error is null) = (failing_since is null)),
  constraint call_log_access_in_order check (watched_since <= checked_until)
);
create index call_log_access_due on call_log_access (next_check_at);

-- Every check that succeeded. Their windows overlap, since a long call enters the call log late. So several checks may
-- count a call in in_log, but only one counts it in missing and taken_in.
create table call_log_checks (
  id         bigint generated always as identity primary key,
  tenant_id  bigint not null references tenants on delete cascade,
  -- The check asked for the calls that began between these times.
  from_at    timestamptz not null,
  until_at   timestamptz not null,
  in_log     integer not null,
  -- How many of them had not come by webhook.
  missing    integer not null,
  -- How many of those were readable and were stored. The others are in rejected_deliveries.
  taken_in   integer not null,
  checked_at timestamptz not null default now(),
  constraint call_log_checks_window check (from_at < until_at),
  constraint call_log_checks_counts check (0 <= taken_in and taken_in <= missing and missing <= in_log)
);
create index call_log_checks_of_tenant on call_log_checks (tenant_id, checked_at);
-- For retention.
create index call_log_checks_by_time on call_log_checks (checked_at);

-- Raises an error if add_jobs() added fewer jobs than asked for. That happens when a worker takes one of the jobs at
-- the same moment (graphile/worker#580), and the job would be lost. The error rolls back the rows that belong to the
-- jobs. Its code is "serialization failure", after which the program tries again.
create function assert_all_queued(wanted bigint, queued bigint) returns bigint
language plpgsql as $$
begin
  if wanted is distinct from queued then
    raise exception 'only % of % jobs were queued', queued, wanted using errcode = '40001';
  end if;
  return queued;
end
$$;

-- Classifies calls again when a number is added to a tenant: unmatched calls to it, and calls from it. The latter may
-- have reached the caller of a missed call. It is a trigger, so that it works for the command, the page and plain SQL.
create function reclassify_unmatched() returns trigger
language plpgsql as $$
declare
  added_phone text := case tg_table_name
    when 'tenant_numbers' then to_jsonb(new) ->> 'phone'
    else to_jsonb(new) ->> 'display_phone_number' end;
  unmatched record;
begin
  for unmatched in
    select distinct call_id from raw_cdrs
    where (verdict = 'unmatched_number' or tenant_id is null)
      and business_phone = added_phone
      and (token_tenant_id is null or token_tenant_id = new.tenant_id)
    order by call_id
  loop
    perform assert_all_queued(1, (
      select count(j.id) from graphile_worker.add_job('voicenter_cdr',
        payload := json_build_object('callId', unmatched.call_id),
        max_attempts := 12,
        job_key := 'voicenter_cdr:' || unmatched.call_id,
        -- As addJob in app/db/jobs.ts.
        priority := -20,
        flags := array['calls']) j));
  end loop;
  return null;
end
$$;

create trigger reclassify_unmatched after insert or update of phone on tenant_numbers
  for each row execute function reclassify_unmatched();
create trigger reclassify_unmatched after insert or update of display_phone_number on whatsapp_connections
  for each row execute function reclassify_unmatched();
