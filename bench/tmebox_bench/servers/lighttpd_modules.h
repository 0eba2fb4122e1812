/* The modules of a static Lighttpd: its plugin.c includes this as plugin-static.h. */
PLUGIN_INIT(mod_indexfile)
PLUGIN_INIT(mod_staticfile)
