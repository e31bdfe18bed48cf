// The last actions, for the popup. Holds no proof, no grant and no query: only
// what a person may read over a shoulder. In memory, gone with the worker.

const KEPT = 50;

function withoutQuery(resource) {
  return String(resource).split(/[?#]/, 1)[0];
}

export class History {
  constructor(now = Date.now) {
    this.now = now;
    this.entries = [];
  }

  begin({name, resource, purpose, who}) {
    return {name, resource: withoutQuery(resource), purpose, who,
      at: this.now()};
  }

  // `outcome`: "permit", "deny", "failed" or "observed" (would have been
  // stopped).
  end(entry, outcome,
      {message, remedy, reason, ledgerIndex, approvalGrade} = {}) {
    entry.outcome = outcome;
    entry.tookMs = this.now() - entry.at;
    if (outcome !== 'permit') Object.assign(entry, {message, remedy, reason});
    if (ledgerIndex !== undefined) entry.ledgerIndex = ledgerIndex;
    if (outcome === 'permit' && approvalGrade) {
      entry.approvalGrade = approvalGrade;
    }
    if (this.entries.includes(entry)) return;
    this.entries.unshift(entry);
    this.entries.length = Math.min(this.entries.length, KEPT);
  }

  list() {
    return this.entries.map((entry) => ({...entry}));
  }
}
