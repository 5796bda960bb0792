/** Log events as a log stream of Auth0 posts them: the fields and values of its documented format. */

interface Event {
  type?: string;
  user_id?: unknown;
  date?: string;
}

/** A login by the login page; another type where a test names one. */
export function logEvent({
  type = "s",
  user_id = "auth0|618223a4e3f49e006948565c",
  date = "2026-11-20T17:03:29.051Z",
}: Event = {}) {
  const log_id = "90020261120170329051000000000000000001223372036854775808";
  return {
    log_id,
    data: {
      date,
      type,
      connection: "Username-Password-Authentication",
      connection_id: "con_1a5wCUmAs6VOU17n",
      client_id: "aI61p8I8aFjmYRliLWgvM9ev97kCCNDB",
      client_name: "Default App",
      ip: "203.0.113.60",
      user_agent: "Mozilla/5.0 (X11; Linux x86_64)",
      details: {
        prompts: [
          {
            name: "prompt-authenticate",
            completedAt: 1635984910474,
            connection: "Username-Password-Authentication",
            strategy: "auth0",
            identity: "618223a4e3f49e006948565c",
            stats: { loginsCount: 4 },
            elapsedTime: null,
          },
        ],
        session_id: "m5SgtzMKxmeNBxj_kCfUUJhzrSdfvLFu",
        stats: { loginsCount: 4 },
      },
      hostname: "example.au.auth0.com",
      user_id,
      user_name: "dev@example.com",
      strategy: "auth0",
      strategy_type: "database",
      log_id,
    },
  };
}
