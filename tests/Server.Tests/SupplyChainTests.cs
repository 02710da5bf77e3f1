using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Whatsit.Server.Tests;

/// <summary>What is passed on is named with its licence, and what it is built upon with its full version.</summary>
public sealed partial class SupplyChainTests
{
    // They generate and check code while it is built, and no part of them is in what is built.
    private static readonly string[] BuildOnly = ["Grpc.Tools", "Microsoft.Extensions.ApiDescription.Server", "Roslynator.Formatting.Analyzers"];

    [Fact]
    public void Every_package_of_the_lock_files_stands_in_THIRD_PARTY()
    {
        var rows = Rows().Matches(Read("THIRD-PARTY.md")).ToArray();
        var nuget = Names(rows, "NuGet");
        var npm = Names(rows, "npm");

        Assert.All(Locked(), package => Assert.Contains(nuget, name => Covers(name, package)));
        Assert.All(LockedForThePage().Select(package => package.Name), package => Assert.Contains(npm, name => Covers(name, package)));
        // …and nothing stands there that is gone.
        Assert.All(nuget, name => Assert.Contains(Locked(), package => Covers(name, package)));
        Assert.All(npm, name => Assert.Contains(LockedForThePage(), package => Covers(name, package.Name)));
    }

    [Fact]
    public void Every_licence_is_the_one_that_the_lock_file_says_and_its_text_is_passed_on()
    {
        var rows = Rows().Matches(Read("THIRD-PARTY.md")).ToArray();
        Assert.All(LockedForThePage(), package => Assert.Contains(
            rows, row => row.Groups["licence"].Value == package.Licence && Names([row], "npm").Any(name => Covers(name, package.Name))));
        Assert.All(rows, row =>
        {
            // The LGPL adds to the GPL; "or later" is the same text.
            var licence = row.Groups["licence"].Value.Replace("-or-later", "", StringComparison.Ordinal);
            Assert.True(File.Exists(Path.Combine(WhatsitServer.Root, licence == "Apache-2.0" ? "LICENSE" : $"licenses/{licence}.txt")), licence);
            Assert.NotEmpty(row.Groups["copyright"].Value);
        });
    }

    [Fact]
    public void Base_images_are_arguments_with_full_versions()
    {
        var images = BaseImages().Matches(Read("Dockerfile")).ToArray();
        Assert.Equal(["NODE_IMAGE", "SDK_IMAGE", "RUNTIME_IMAGE"], images.Select(image => image.Groups["name"].Value));
        Assert.All(images, image => Assert.Matches(@":\d+\.\d+\.\d+(-[a-z-]+)?$", image.Groups["image"].Value));
        Assert.Equal(
            images.Select(image => $"${{{image.Groups["name"].Value}}}"), Stages().Matches(Read("Dockerfile")).Select(stage => stage.Groups["image"].Value));
        Assert.Contains("--build-arg RUNTIME_IMAGE=…@sha256:…", Read("README.md"), StringComparison.Ordinal);
    }

    private static string Read(string file) => File.ReadAllText(Path.Combine(WhatsitServer.Root, file));

    private static string[] Locked() =>
    [
        .. Directory.GetFiles(Path.Combine(WhatsitServer.Root, "locks"), "*.json", SearchOption.AllDirectories)
            .Where(file => Path.GetFileName(file) is "Server.json" or "ModelTools.json" or "Training.json")
            .SelectMany(file => JsonNode.Parse(File.ReadAllText(file))!["dependencies"]!.AsObject())
            .SelectMany(target => target.Value!.AsObject())
            .Where(package => (string)package.Value!["type"]! != "Project")
            .Select(package => package.Key)
            // What is taken out of a package without its dependencies stands in no lock file.
            .Concat(Downloads().Matches(Read("src/Training/Training.csproj")).Select(download => download.Groups[1].Value))
            .Except(BuildOnly).Distinct(),
    ];

    private static (string Name, string Licence)[] LockedForThePage() =>
    [
        .. JsonNode.Parse(Read("client/package-lock.json"))!["packages"]!.AsObject()
            .Where(package => package.Key.Length > 0 && package.Value!["dev"] is null)
            .Select(package => (package.Key[(package.Key.LastIndexOf("node_modules/", StringComparison.Ordinal) + 13)..], (string)package.Value!["license"]!))
            .Distinct(),
    ];

    /// <summary>Names in a row's first cell that stand behind the registry's.</summary>
    private static string[] Names(Match[] rows, string registry) =>
    [
        .. rows.SelectMany(row => row.Groups["packages"].Value.Split(';', StringSplitOptions.TrimEntries))
            .Where(part => part.StartsWith($"{registry} ", StringComparison.Ordinal))
            .SelectMany(part => Quoted().Matches(part)).Select(name => name.Groups[1].Value),
    ];

    private static bool Covers(string name, string package) =>
        name.EndsWith('*') ? package.StartsWith(name[..^1], StringComparison.Ordinal) : package == name;

    [GeneratedRegex("PackageDownload Include=\"([^\"]+)\"")]
    private static partial Regex Downloads();

    [GeneratedRegex(@"^\| (?<packages>[^|]*`[^|]*) \| (?<use>[^|]+) \| (?<licence>[^|]+) \| (?<copyright>[^|]+) \|$", RegexOptions.Multiline)]
    private static partial Regex Rows();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"^ARG (?<name>\w+_IMAGE)=(?<image>\S+)$", RegexOptions.Multiline)]
    private static partial Regex BaseImages();

    [GeneratedRegex(@"^FROM (?<image>\S+)", RegexOptions.Multiline)]
    private static partial Regex Stages();
}
