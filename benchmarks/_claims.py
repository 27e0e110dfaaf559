def render(ledger): return ""
