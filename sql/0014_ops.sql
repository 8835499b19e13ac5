-- What the pages of /ops look things up by, so that each answers at once however much has been stored.

-- Calls: who called, or whom the business called, in E.164; written with the verdict. Null where no number
-- shows, or the person was erased. Of the calls judged before this, what is known of them already.
alter table raw_cdrs add column customer_phone text;

-- A call begins when it says so; until it has been read, when it came. Newest first, of everybody or one business.
create index raw_cdrs_by_time on raw_cdrs ((coalesce(called_at, received_at)), id);
-- With what Today counts by the hour: it looks at a month of calls, and at no more than this index.
create index raw_cdrs_of_tenant_by_time on raw_cdrs (tenant_id, (coalesce(called_at, received_at)), id)
  include (called_at, received_at, verdict, root_call_id);
-- What a person looks for among many others, and is rare.
create index raw_cdrs_undecided on raw_cdrs (verdict, (coalesce(called_at, received_at)), id)
  where verdict in ('unmatched_number', 'unknown');
-- By number: a whole one, or its last digits, which people remember. Read backwards, both begin alike.
create index raw_cdrs_by_number on raw_cdrs (reverse(customer_phone) text_pattern_ops);
create index missed_calls_by_number on missed_calls (reverse(caller_phone) text_pattern_ops);
-- What was decided, and why.
create index missed_calls_by_outreach on missed_calls (outreach_state, outreach_reason, called_at, id);
-- What was done by hand to one call or message.
create index audit_log_of_subject on audit_log (subject);

-- Waiting: who was missed last, of everybody; of one business there is missed_calls_recent.
create index missed_calls_by_time on missed_calls (called_at, id);
-- When somebody said by hand that she has been called back, from whatever phone. Null = nobody has.
alter table leads add column called_back_at timestamptz;

-- Trouble: what was refused, and nobody has put aside yet. What was put aside stays, without its body: a repeat
-- is recognised by it.
alter table rejected_deliveries add column discarded_at timestamptz;
create index rejected_deliveries_open on rejected_deliveries (received_at, id) where discarded_at is null;
create index messages_unknown on messages (id) where state = 'unknown';
-- Settled by a person, until WhatsApp says what it knows.
create index messages_settled_by_hand on messages (whatsapp_connection_id)
  where state in ('delivered', 'failed') and reason = 'by_operator';
create index whatsapp_events_of_nobody on whatsapp_events (received_at) where tenant_id is null;
