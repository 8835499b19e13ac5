-- What the BullMQ design keeps in Postgres: the lines of the businesses, and the calls that were missed.
create table if not exists connections (
  id    bigint generated always as identity primary key,
  phone text not null unique,
  name  text not null
);

create table if not exists missed_calls (
  id             bigint generated always as identity primary key,
  connection_id  bigint not null references connections,
  call_id        text not null unique,
  caller_phone   text not null,
  business_phone text not null,
  status         text not null,
  payload        jsonb not null,
  received_at    timestamptz not null,
  created_at     timestamptz not null default now()
);

insert into connections (phone, name) values ('+972722776772', 'Noa''s Salon') on conflict do nothing;
