// std::filesystem and streams on the directories that were granted: /rw to write, /ro to read.
#include <algorithm>
#include <filesystem>
#include <format>
#include <fstream>
#include <iostream>
#include <locale>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

static void tell(const std::string &what, auto &&action)
{
	try {
		std::cout << what << ": " << std::boolalpha << action() << '\n';
	} catch (const fs::filesystem_error &error) {
		std::cout << what << ": filesystem_error " << error.code().value() << ' ' << error.path1().string() << '\n';
	} catch (const std::exception &error) {
		std::cout << what << ": " << error.what() << '\n';
	}
}
static std::string listed(const fs::path &path)
{
	std::vector<std::string> names;
	for (auto &entry : fs::recursive_directory_iterator(path))
		names.push_back(entry.path().string() + (entry.is_directory() ? "/" : std::format("={}", entry.file_size())));
	std::ranges::sort(names);
	std::string all;
	for (auto &name : names) all += name + ' ';
	return all;
}

int main()
{
	tell("create", [] { return fs::create_directories("/rw/a/b/c"); });
	tell("again", [] { return fs::create_directories("/rw/a/b/c"); });
	tell("write", [] { return bool(std::ofstream("/rw/a/one") << "one two three\n"); });
	tell("copy", [] { return fs::copy_file("/rw/a/one", "/rw/a/b/two"); });
	tell("copy tree", [] { return fs::copy("/rw/a", "/rw/copied", fs::copy_options::recursive), fs::exists("/rw/copied/b/two"); });
	tell("rename", [] { return fs::rename("/rw/a/one", "/rw/a/b/one"), fs::exists("/rw/a/one"); });
	tell("link", [] { return fs::create_symlink("b/one", "/rw/a/link"), fs::read_symlink("/rw/a/link").string(); });
	tell("hard", [] { return fs::create_hard_link("/rw/a/b/one", "/rw/a/hard"), fs::hard_link_count("/rw/a/hard"); });
	tell("same", [] { return fs::equivalent("/rw/a/link", "/rw/a/hard"); });
	tell("canonical", [] { return fs::canonical("/rw/a/../a/./link").string(); });
	tell("resize", [] { return fs::resize_file("/rw/a/b/one", 7), fs::file_size("/rw/a/link"); });
	tell("read", [] { std::ifstream file("/rw/a/b/one"); return std::string(std::istreambuf_iterator<char>(file), {}); });
	tell("time", [] {
		auto time = fs::last_write_time("/rw/a/b/one");
		fs::last_write_time("/rw/a/b/one", time - std::chrono::hours(5));
		return time - fs::last_write_time("/rw/a/b/one") == std::chrono::hours(5);
	});
	tell("permissions", [] {
		fs::permissions("/rw/a/b/one", fs::perms::owner_read);
		return (fs::status("/rw/a/b/one").permissions() & fs::perms::all) == fs::perms::owner_read;
	});
	tell("list", [] { return listed("/rw/a"); });
	tell("space", [] { return fs::space("/rw").capacity > 0; });
	tell("current", [] { fs::current_path("/rw/a"); return fs::absolute("b").string() + (fs::exists("b/two") ? "!" : "?"); });
	tell("remove all", [] { return fs::remove_all("/rw/a"); });
	tell("removed", [] { return fs::exists("/rw/a"); });

	tell("read-only", [] { return listed("/ro"); });
	tell("read-only create", [] { return fs::create_directory("/ro/new"); });
	tell("read-only remove", [] { return fs::remove("/ro/given"); });
	tell("read-only write", [] { return bool(std::ofstream("/ro/given") << "x"); });
	tell("read-only copy", [] { return fs::copy_file("/ro/given", "/rw/given"); });
	tell("outside", [] { return fs::exists("/etc/shadow") || fs::exists("/ro/../../etc/shadow"); });
	tell("out by link", [] { std::ifstream file("/ro/out"); return file.is_open(); });
	tell("no such", [] { return fs::file_size("/rw/none"); });

	tell("regex", [] {
		std::string text = "k1=v1; key2=value2", found;
		std::regex pair(R"((\w+)=(\w+))");
		for (std::sregex_iterator it(text.begin(), text.end(), pair), end; it != end; ++it) found += (*it)[2].str() + ' ';
		return found + std::regex_replace(text, pair, "$2=$1");
	});
	tell("bad regex", [] { return std::regex("(") , 1; });
	tell("format", [] { return std::format("{:>6}|{:<6}|{:^6}|{:+.2e}|{:#06x}|{:?}", 42, "ab", 'c', 12345.678, 255, "q\"\n"); });
	tell("bad format", [] { int n = 1; return std::vformat("{:s}", std::make_format_args(n)); });
	tell("locale", [] { return std::locale().name() + ' ' + std::use_facet<std::numpunct<char>>(std::locale("C")).decimal_point(); });
	tell("own facet", [] {
		struct Grouped : std::numpunct<char> {
			char do_thousands_sep() const override { return '\''; }
			std::string do_grouping() const override { return "\3"; }
		};
		std::ostringstream out;
		out.imbue(std::locale(std::locale::classic(), new Grouped));
		out << 1234567;
		return out.str();
	});
}
