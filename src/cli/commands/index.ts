/** Every command, loaded when it is used, so that a short command need not load the server's libraries. */
import type { Command } from "commander";

export const COMMANDS: Record<string, () => Promise<Command>> = {
  up: async () => (await import("./up.ts")).upCommand(),
  demo: async () => (await import("./demo.ts")).demoCommand(),
  simulate: async () => (await import("./simulate.ts")).simulateCommand(),
  integrations: async () => (await import("./integrations.ts")).integrationsCommand(),
  items: async () => (await import("./items.ts")).itemsCommand(),
  link: async () => (await import("./link.ts")).linkCommand(),
  subjects: async () => (await import("./subjects.ts")).subjectsCommand(),
  webhooks: async () => (await import("./webhooks.ts")).webhooksCommand(),
  gaps: async () => (await import("./gaps.ts")).gapsCommand(),
  audit: async () => (await import("./audit.ts")).auditCommand(),
  destinations: async () => (await import("./destinations.ts")).destinationsCommand(),
  routes: async () => (await import("./routes.ts")).routesCommand(),
  events: async () => (await import("./events.ts")).eventsCommand(),
  deliveries: async () => (await import("./deliveries.ts")).deliveriesCommand(),
  "dead-letters": async () => (await import("./dead-letters.ts")).deadLettersCommand(),
  replay: async () => (await import("./replay.ts")).replayCommand(),
  jobs: async () => (await import("./jobs.ts")).jobsCommand(),
  listen: async () => (await import("./listen.ts")).listenCommand(),
  status: async () => (await import("./status.ts")).statusCommand(),
  db: async () => (await import("./db.ts")).dbCommand(),
  migrate: async () => (await import("./migrate.ts")).migrateCommand(),
  vault: async () => (await import("./vault.ts")).vaultCommand(),
  keys: async () => (await import("./keys.ts")).keysCommand(),
  config: async () => (await import("./config.ts")).configCommand(),
};
