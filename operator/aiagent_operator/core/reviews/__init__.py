"""Reviews and bias audits of what serves: when each is due (`due`), what its runs say together (`runs`), and what
follows from all of them for the agent (`reviewing`)."""
