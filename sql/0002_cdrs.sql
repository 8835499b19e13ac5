-- What Voicenter told us: every record that was accepted, word for word, and every one that was not.

create table raw_cdrs (
  id              bigint generated always as identity primary key,
  -- The tenant of the credential it came with. Null = the token was unbound.
  token_tenant_id bigint references tenants on delete cascade,
  -- Whose call it is: the token's tenant, or the one whose number was dialled. Null = nobody's (yet).
  tenant_id       bigint references tenants on delete cascade,
  call_id         text not null constraint raw_cdrs_call_id_length check (length(call_id) between 1 and 128),
  -- The first record of the same call: OriginalIvrUniqueID of a transfer, else call_id itself.
  -- (tenant_id, root_call_id) is "the call"; everything that belongs to it is judged together.
  root_call_id    text not null constraint raw_cdrs_root_call_id_length check (length(root_call_id) between 1 and 128),
  -- The record as parsed, made safe for Postgres (no NUL, no lone surrogates, long numbers as text),
  -- and its bytes as they came. Both are null once retention has emptied them; the row stays, for it
  -- is what a repeat is recognised by.
  payload         jsonb,
  body            bytea,
  content_hash    bytea not null constraint raw_cdrs_content_hash_sha256 check (octet_length(content_hash) = 32),
  received_at     timestamptz not null default now(),
  deliveries      integer not null default 1 constraint raw_cdrs_deliveries_positive check (deliveries > 0),

  -- From here on: what the task voicenter_cdr read and judged. Null until then.
  called_at       timestamptz,
  -- How called_at was read: the exchange's shifted clock, a true epoch, or not at all (time of receipt).
  clock           text constraint raw_cdrs_clock_known check (clock in ('shifted', 'plain', 'received')),
  business_phone  text,
  -- The customer with whom a person talked in this record. Null = nobody talked.
  reached_phone   text,
  verdict         text constraint raw_cdrs_verdict_known
                  check (verdict in ('missed', 'answered', 'not_inbound', 'unmatched_number', 'unknown')),
  reason          text,
  constraint raw_cdrs_verdict_has_reason check ((verdict is null) = (reason is null)),

  -- The anchor of "nothing twice": the same record again only raises deliveries. A call id alone is
  -- not the key, since the two legs of a Click2Call share one. Nulls count as equal, or records
  -- of an unbound token would never be recognised.
  constraint raw_cdrs_same_record unique nulls not distinct (token_tenant_id, call_id, content_hash)
);
create index raw_cdrs_by_call on raw_cdrs (call_id);
create index raw_cdrs_by_root on raw_cdrs (root_call_id);
-- "Has somebody talked with her since?"
create index raw_cdrs_reached on raw_cdrs (tenant_id, reached_phone, called_at) where reached_phone is not null;
-- Judged again as soon as the number is added: calls to it, and what else named it and was nobody's.
create index raw_cdrs_unmatched on raw_cdrs (business_phone) where verdict = 'unmatched_number' or tenant_id is null;

-- What was refused although the sender was known: kept, so that nothing is lost and a person can look.
create table rejected_deliveries (
  id           bigint generated always as identity primary key,
  -- The tenant of the credential. Null = an unbound token.
  tenant_id    bigint references tenants on delete cascade,
  source       text not null constraint rejected_deliveries_source_known check (source in ('voicenter', 'whatsapp')),
  reason       text not null,
  content_type text,
  -- The exact bytes; of an array the element's. Null once retention has emptied it.
  body         bytea,
  body_hash    bytea not null,
  -- A sender repeats what was refused: counted, not stored again.
  deliveries   integer not null default 1,
  received_at  timestamptz not null default now(),
  constraint rejected_deliveries_same_body unique nulls not distinct (source, tenant_id, body_hash)
);

-- add_jobs() may return fewer rows than keys when a worker takes one of the jobs at that very moment
-- (graphile/worker#580), and would schedule nothing for the missing ones. Raising rolls back the rows
-- that came with them; the error code is "serialization failure", upon which callers try again.
create function assert_all_queued(wanted bigint, queued bigint) returns bigint
language plpgsql as $$
begin
  if wanted is distinct from queued then
    raise exception 'only % of % jobs were queued', queued, wanted using errcode = '40001';
  end if;
  return queued;
end
$$;
