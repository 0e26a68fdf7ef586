"""Reviews and bias audits of what serves: when each is due (`due`), and what its runs say together (`runs`)."""
