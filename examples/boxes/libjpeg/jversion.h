/* What libjpeg-turbo's build fills in: texts that jerror.c shows. */
#define JVERSION "6b"
#define JCOPYRIGHT "see LICENSE.md"
#define JCOPYRIGHT_SHORT "see LICENSE.md"
