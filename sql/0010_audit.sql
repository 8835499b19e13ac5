-- The operator's page: who may sign in, and what was done by hand.

-- scrypt of the password with which a business signs in to /ops (app/password.ts): the parameters, a
-- salt of its own and the hash. Null = nobody signs in as this business.
alter table tenants add column ops_password text
  constraint tenants_ops_password_hashed check (ops_password like 'scrypt:%');

-- Everything a person did on /ops or by npm run tenant, in the transaction that did it. Never changed and
-- never removed. Holds no customer's phone number and no token; a business's own numbers it does.
create table audit_log (
  id        bigint generated always as identity primary key,
  at        timestamptz not null default now(),
  -- 'operator', 'tenant <id>', or 'command line'.
  who       text not null,
  -- Which business it concerns; null = none. No foreign key: what was done stays, also when the business goes.
  tenant_id bigint,
  -- What was done, as '<noun>.<verb>': tenant.set, outreach.cancel, delivery.discard ...
  action    text not null constraint audit_log_action_form check (action ~ '^[a-z_]+\.[a-z_]+$'),
  -- To what, as '<table> <id>': 'missed_calls 12'.
  subject   text not null,
  -- Only what changed. Null before = it is new; null after = it is gone.
  before    jsonb,
  after     jsonb
);
create index audit_log_of_tenant on audit_log (tenant_id, id);
