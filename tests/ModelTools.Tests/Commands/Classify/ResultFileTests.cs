using System.Text;
using Whatsit.ModelTools.Commands.Classify;

namespace Whatsit.ModelTools.Tests.Commands.Classify;

/// <summary>A file of answers that was cut anywhere, and what a run that goes on with it makes of it.</summary>
public sealed class ResultFileTests : IDisposable
{
    private const string Csv =
        CsvAnswers.Header + "\n"
        + "a.png,1,pear,1,0.5,false,\na.png,2,\"plum, blue\",2,0.3,false,\n"
        + "\"b, \"\"c\"\".png\",1,pear,1,0.5,false,\n\"b, \"\"c\"\".png\",2,plum,2,0.3,false,\n"
        + "d.png,,,,,,It is damaged.\n"
        + "\"e\nf.png\",1,pear,1,0.5,false,\n\"e\nf.png\",2,plum,2,0.3,false,\n";

    private const string JsonLines = """
        {"file":"a.png","model":"x"}
        {"file":"b, \"c\".png","error":"It is damaged."}
        {"file":"é\nf.png"}

        """;

    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void A_file_that_was_cut_anywhere_has_whole_answers_and_nothing_else()
    {
        foreach (var (whole, isCsv, names) in ((string, bool, string[])[])[(Csv, true, ["a.png", "b, \"c\".png", "d.png", "e\nf.png"]),
            (JsonLines.ReplaceLineEndings("\n"), false, ["a.png", "b, \"c\".png", "é\nf.png"])])
        {
            var bytes = Encoding.UTF8.GetBytes(whole);
            for (var length = 0; length <= bytes.Length; length++)
            {
                File.WriteAllBytes(_file, bytes[..length]);
                bool[] has;
                bool isNew;
                using (var results = new ResultFile(_file, isCsv))
                {
                    (has, isNew) = ([.. names.Select(results.Has)], results.IsNew);
                    Assert.Equal(has.Count(known => known), results.Answered);
                    Assert.False(results.Has("nobody.png"));
                }

                // The first ones, and no part of another.
                var known = has.TakeWhile(known => known).Count();
                Assert.All(has[known..], Assert.False);
                var kept = File.ReadAllText(_file);
                Assert.StartsWith(kept, whole, StringComparison.Ordinal);
                Assert.Equal(kept.Length == 0, isNew);
                var rest = whole[kept.Length..];
                Assert.Equal(names.Length - known, isCsv ? CountOf(rest) : rest.Count(letter => letter == '\n'));
            }

            Assert.True(new FileInfo(_file).Length == bytes.Length);
        }

        static int CountOf(string rest) => rest.Split(",1,pear").Length - 1 + (rest.Contains("damaged", StringComparison.Ordinal) ? 1 : 0);
    }

    [Theory]
    [InlineData("name,label\n", true, "its first line is not file,rank")]
    [InlineData("{\"file\":\"a.png\"}\n{}\n{\"file\":\"b.png\"}\n", false, "line 2 is no JSON")]
    [InlineData("hello\n", false, "line 1 is no JSON")]
    public void What_is_no_file_of_answers_stays_as_it_is(string content, bool isCsv, string problem)
    {
        File.WriteAllText(_file, content);
        Assert.Contains(problem, Assert.Throws<IOException>(() => new ResultFile(_file, isCsv)).Message, StringComparison.Ordinal);
        Assert.Equal(content, File.ReadAllText(_file));
    }

    [Fact]
    public void Every_name_is_in_one_share_and_always_in_the_same()
    {
        var names = Enumerable.Range(0, 10_000).Select(number => $"photos/{number}.jpg").ToArray();
        foreach (var count in (int[])[1, 2, 7, 100])
        {
            var shares = names.GroupBy(name => Enumerable.Range(0, count).Single(index => new Shard(index, count).Has(name))).ToArray();
            Assert.Equal(count, shares.Length);
            Assert.All(shares, share => Assert.InRange(share.Count(), names.Length / count / 2, names.Length / count * 2));
        }

        // Of other machines and other years.
        string[] known = ["a.jpg", "b/c.png", "é.webp"];
        Assert.Equal([1, 1, 0], known.Select(name => Enumerable.Range(0, 3).Single(index => new Shard(index, 3).Has(name))));
        Assert.Equal(new Shard(1, 5).Has("a/b.jpg"), new Shard(1, 5).Has(@"a\b.jpg"));
    }
}
