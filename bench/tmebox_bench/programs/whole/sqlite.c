/* SQLite with a database in memory: inserts, an index, joins, aggregates, updates, text functions. */
#include <sqlite3.h>

#include "../bench.h"

static sqlite3 *database;
static uint64_t sum;

static int add_row(void *context, int columns, char **values, char **names)
{
	(void)context;
	(void)names;
	for (int i = 0; i < columns; i++)
		if (values[i]) sum = mix_bytes(sum, values[i], strlen(values[i]));
	return 0;
}

static void execute(const char *statement)
{
	char *message = NULL;
	int status = sqlite3_exec(database, statement, add_row, NULL, &message);
	expect(status == SQLITE_OK, message ? message : statement);
}

static void insert_users(int round)
{
	sqlite3_stmt *insert;
	uint32_t random = (uint32_t)round + 1;
	char name[32];
	expect(sqlite3_prepare_v2(database, "INSERT INTO user VALUES (?, ?, ?)", -1, &insert, NULL) == SQLITE_OK, "prepare");
	execute("BEGIN");
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "user %u", next_random(&random) % 5000);
		sqlite3_bind_int(insert, 1, i);
		sqlite3_bind_text(insert, 2, name, -1, SQLITE_TRANSIENT);
		sqlite3_bind_double(insert, 3, next_random(&random) % 1000 / 8.0);
		expect(sqlite3_step(insert) == SQLITE_DONE, "step");
		sqlite3_reset(insert);
	}
	execute("COMMIT");
	sqlite3_finalize(insert);
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	expect(sqlite3_open(":memory:", &database) == SQLITE_OK, "open");
	for (int round = 0; round < rounds; round++) {
		execute("CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT, score REAL)");
		execute("CREATE TABLE friend (one INTEGER, other INTEGER)");
		insert_users(round);
		execute("CREATE INDEX by_name ON user (name)");
		execute("INSERT INTO friend SELECT id, (id * 7919) % 2000 FROM user");
		execute("SELECT count(*), sum(score), max(name) FROM user WHERE name LIKE 'user 1%'");
		execute("SELECT u.name, v.name FROM user u JOIN friend f ON f.one = u.id JOIN user v ON v.id = f.other "
			"WHERE u.score > 100 ORDER BY v.name, u.id LIMIT 50");
		execute("SELECT substr(name, 1, 7) AS g, count(*), round(avg(score), 3) FROM user GROUP BY g ORDER BY 2 DESC, g");
		execute("UPDATE user SET score = score * 2, name = upper(name) WHERE id % 3 = 0");
		execute("SELECT group_concat(name) FROM (SELECT DISTINCT name FROM user ORDER BY name DESC LIMIT 30)");
		execute("DROP TABLE user");
		execute("DROP TABLE friend");
	}
	sqlite3_close(database);
	return finish(sum);
}
