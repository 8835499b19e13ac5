-- Outgoing events: what happens at a tenant, for its other programs. docs/events.md describes them.
--
-- The transaction that decides something writes the event, its deliveries and their jobs: triggers on missed_calls and leads
-- do so, since several functions and plain SQL change these rows. So no decision is without its event, and no event without
-- its decision. A tenant without an endpoint has no rows here, and each trigger costs it one look into an index.

-- An address of the tenant's that gets events.
create table event_endpoints (
  id              bigint generated always as identity,
  tenant_id       bigint not null references tenants on delete cascade,
  url             text not null constraint event_endpoints_url_form check (url ~ '^https?://' and length(url) <= 2000),
  -- The types that it gets.
  types           text[] not null constraint event_endpoints_types_known check (cardinality(types) > 0 and types <@ array[
                    'call.missed', 'outreach.sent', 'outreach.skipped', 'outreach.cancelled', 'lead.replied',
                    'lead.callback_requested', 'lead.reached', 'lead.opted_out', 'lead.unresponsive', 'lead.outcome']),
  -- The key of the signatures, encrypted (app/crypto.ts).
  secret          text not null,
  -- The key before the last rotation. Both sign until previous_until.
  previous_secret text,
  previous_until  timestamptz,
  state           text not null default 'active'
                  constraint event_endpoints_state_known check (state in ('active', 'disabled')),
  -- Why it gets nothing: it answered 410 (gone), or all attempts to deliver an event failed (failing).
  state_reason    text constraint event_endpoints_reason_known check (state_reason in ('gone', 'failing')),
  -- How many attempts have failed since the last one that succeeded.
  failures        integer not null default 0,
  -- It does not answer in time: no attempt begins before. An attempt holds a worker until its end.
  paused_until    timestamptz,
  created_at      timestamptz not null default now(),
  constraint event_endpoints_state_reason check ((state = 'disabled') = (state_reason is not null)),
  constraint event_endpoints_rotation check ((previous_secret is null) = (previous_until is null))
);
create index event_endpoints_of_tenant on event_endpoints (tenant_id);
-- The keys come last, as that of leads does.
alter table event_endpoints add primary key (id, tenant_id);

-- What happened. A row is deleted after 30 days, and with its lead.
create table events (
  id         bigint generated always as identity,
  tenant_id  bigint not null references tenants on delete cascade,
  -- The header webhook-id. Random: after a restore of the database, the next number would name another event.
  webhook_id text not null default 'evt_' || replace(gen_random_uuid()::text, '-', '')
             constraint events_webhook_id_key unique,
  type       text not null constraint events_type_known check (type in (
               'call.missed', 'outreach.sent', 'outreach.skipped', 'outreach.cancelled', 'lead.replied',
               'lead.callback_requested', 'lead.reached', 'lead.opted_out', 'lead.unresponsive', 'lead.outcome',
               -- A test of an endpoint.
               'webhook.test')),
  -- Null = about no person.
  lead_id    bigint,
  -- As it is sent. No text that a person wrote.
  data       jsonb not null,
  created_at timestamptz not null default now(),
  constraint events_lead foreign key (lead_id, tenant_id) references leads on delete cascade
);
create index events_by_time on events (created_at);
create index events_of_lead on events (lead_id) where lead_id is not null;
create index events_of_tenant on events (tenant_id, id);
-- For an erasure: a call of a number of the business has no lead.
create index events_of_phone on events (tenant_id, (data ->> 'phone'));
create index events_tests on events (tenant_id) where type = 'webhook.test';
alter table events add primary key (id, tenant_id);

-- An event on its way to one endpoint.
create table event_deliveries (
  id                bigint generated always as identity primary key,
  tenant_id         bigint not null references tenants on delete cascade,
  event_id          bigint not null,
  event_endpoint_id bigint not null,
  state             text not null default 'pending' constraint event_deliveries_state_known
                    check (state in ('pending', 'sending', 'delivered', 'failed')),
  -- How many attempts have begun. A person who sends it again starts at 0.
  attempts          integer not null default 0,
  -- When the next attempt may begin.
  due_at            timestamptz not null default now(),
  -- When the last attempt began. An attempt that has not ended after 30 seconds has lost its process, and another follows.
  claimed_at        timestamptz,
  -- What came of the last attempt: the HTTP status, or why there is none. Nothing else of an answer is kept.
  status            integer,
  error             text constraint event_deliveries_error_known
                    check (error in ('timeout', 'forbidden_address', 'not_resolved', 'tls', 'connection')),
  created_at        timestamptz not null default now(),
  constraint event_deliveries_once unique (event_id, event_endpoint_id),
  constraint event_deliveries_claimed check (state <> 'sending' or claimed_at is not null),
  constraint event_deliveries_event foreign key (event_id, tenant_id) references events on delete cascade,
  constraint event_deliveries_endpoint foreign key (event_endpoint_id, tenant_id) references event_endpoints on delete cascade
)
-- Each row changes twice or more.
with (autovacuum_vacuum_scale_factor = 0.05);
create index event_deliveries_of_endpoint on event_deliveries (event_endpoint_id, id);
-- Deliveries that are not finished, oldest first.
create index event_deliveries_open on event_deliveries (event_endpoint_id, id) where state in ('pending', 'sending');
-- Each claim and each outcome counts the attempts that run.
create index event_deliveries_running on event_deliveries (event_endpoint_id) where state = 'sending';
-- For the last attempt at an endpoint, behind which many events may wait.
create index event_deliveries_attempted on event_deliveries (event_endpoint_id, id) where claimed_at is not null;
-- What "send everything again" changes. Other deliveries that wait are due already.
create index event_deliveries_tried on event_deliveries (event_endpoint_id, state, id)
  where state = 'failed' or state = 'pending' and attempts > 0;

-- A time in an event: ISO 8601 in UTC, with milliseconds.
create function event_time(moment timestamptz) returns text
language sql stable as $$
  select to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- Records an event, a delivery for each endpoint of the tenant that gets this type, and their jobs. Deliveries to a disabled
-- endpoint get no job: they wait until a person enables it. The locks on the endpoints make the removal of one wait, or this
-- wait for the removal. Otherwise the foreign key could refuse the delivery, and with it what was decided here.
create function record_event(tenant bigint, event_type text, lead bigint, fields jsonb) returns void
language plpgsql as $$
declare
  endpoints bigint[];
  queued    bigint;
begin
  select array_agg(id) into endpoints from (
    select id from event_endpoints where tenant_id = tenant and event_type = any(types) order by id for key share) e;
  if endpoints is null then
    return;
  end if;
  with event as (
    insert into events (tenant_id, type, lead_id, data)
    values (tenant, event_type, lead, jsonb_build_object('tenant_id', tenant::text) || fields)
    returning id
  ), delivery as (
    insert into event_deliveries (tenant_id, event_id, event_endpoint_id)
    select tenant, event.id, e.id from event, unnest(endpoints) as e (id)
    returning id, event_endpoint_id
  ), jobs as (
    -- As jobSpec in app/db/jobs.ts.
    select count(*) as wanted, array_agg(row('event_delivery', json_build_object('deliveryId', d.id::text), null, null,
      12::smallint, 'event_delivery:' || d.id, 5::smallint, array['events', 'events:' || tenant])::graphile_worker.job_spec
      order by d.id) as specs
    from delivery d join event_endpoints e on e.id = d.event_endpoint_id
    where e.state = 'active'
  )
  select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs))) into queued
  from jobs where wanted > 0;
end
$$;

-- What an event says about a missed call. A person who withholds their number has no phone and no lead.
create function call_event_fields(call missed_calls) returns jsonb
language sql stable as $$
  select jsonb_strip_nulls(jsonb_build_object('lead_id', call.lead_id::text, 'phone', call.caller_phone,
    'missed_call_id', call.id::text, 'call_id', call.call_id))
$$;

-- What an event says about a lead: the person, and their last missed call.
create function lead_event_fields(lead leads) returns jsonb
language sql stable as $$
  select jsonb_build_object('lead_id', lead.id::text, 'phone', lead.phone) || coalesce((
    select jsonb_build_object('missed_call_id', k.id::text, 'call_id', k.call_id) from missed_calls k
    where k.lead_id = lead.id order by k.called_at desc, k.id desc limit 1), '{}')
$$;

-- call.missed, and the decisions about its first message: outreach.sent, outreach.skipped, outreach.cancelled.
create function record_call_events() returns trigger
language plpgsql as $$
begin
  if not exists (select from event_endpoints where tenant_id = new.tenant_id) then
    return null;
  end if;
  if tg_op = 'INSERT' then
    perform record_event(new.tenant_id, 'call.missed', new.lead_id, call_event_fields(new) || jsonb_build_object(
      'source', new.source, 'business_phone', new.business_phone, 'status', new.status,
      'called_at', event_time(new.called_at)));
  end if;
  if new.outreach_state in ('sent', 'skipped', 'cancelled') then
    perform record_event(new.tenant_id, 'outreach.' || new.outreach_state, new.lead_id, call_event_fields(new)
      || jsonb_build_object('reason', new.outreach_reason)
      || coalesce((
        select jsonb_build_object('message_id', m.id::text)
        from lead_conversations c join messages m on m.lead_conversation_id = c.id and m.kind = 'initial'
        where c.missed_call_id = new.id), '{}'));
  end if;
  return null;
end
$$;

create trigger record_missed_call after insert on missed_calls
  for each row execute function record_call_events();
-- A withheld caller who becomes known may be skipped for another reason.
create trigger record_outreach after update of outreach_state, outreach_reason on missed_calls
  for each row when (new.outreach_state in ('sent', 'skipped', 'cancelled')
    and (old.outreach_state, old.outreach_reason) is distinct from (new.outreach_state, new.outreach_reason))
  execute function record_call_events();

-- lead.callback_requested, lead.reached, lead.opted_out, lead.unresponsive and lead.outcome. lead.replied is recorded where
-- the reply is read (app/replies/inbound.ts), because each message has its own event.
create function record_lead_events() returns trigger
language plpgsql as $$
declare
  fields jsonb;
  -- The undo of "called back" restores a state and a request of before, which had their events.
  is_undo constant boolean := old.called_back_at is not null and new.called_back_at is null
                              or old.state = 'reached_by_phone' and new.state in ('new', 'contacted', 'unresponsive');
begin
  if is_undo or not exists (select from event_endpoints where tenant_id = new.tenant_id) then
    return null;
  end if;
  fields := lead_event_fields(new);
  -- The end of an opt-out also restores a state that had its event.
  if new.state is distinct from old.state and old.state <> 'opted_out'
     and new.state in ('reached_by_phone', 'opted_out', 'unresponsive') then
    perform record_event(new.tenant_id,
      case new.state when 'reached_by_phone' then 'lead.reached' else 'lead.' || new.state end, new.id, fields);
  end if;
  -- "Called back" does not change the state of a person who replied, opted out or was reached before. If it did change the
  -- state (called_back_from), that change has its event.
  if new.called_back_at > coalesce(old.called_back_at, '-infinity')
     and (new.called_back_from is null or new.state <> 'reached_by_phone') then
    perform record_event(new.tenant_id, 'lead.reached', new.id, fields);
  end if;
  if new.callback_requested_at > coalesce(old.callback_requested_at, '-infinity') then
    perform record_event(new.tenant_id, 'lead.callback_requested', new.id,
      fields || jsonb_build_object('requested_at', event_time(new.callback_requested_at)));
  end if;
  if (new.outcome, new.outcome_value) is distinct from (old.outcome, old.outcome_value) then
    perform record_event(new.tenant_id, 'lead.outcome', new.id,
      fields || jsonb_build_object('outcome', new.outcome, 'value', new.outcome_value));
  end if;
  return null;
end
$$;

create trigger record_lead
  after update of state, called_back_at, callback_requested_at, outcome, outcome_value on leads
  for each row when (
    (old.state, old.called_back_at, old.callback_requested_at, old.outcome, old.outcome_value)
      is distinct from (new.state, new.called_back_at, new.callback_requested_at, new.outcome, new.outcome_value))
  execute function record_lead_events();
