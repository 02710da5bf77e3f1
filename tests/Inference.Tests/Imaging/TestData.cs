namespace Whatsit.Inference.Tests.Imaging;

/// <summary>The files under tests/data, wherever the tests were built to.</summary>
internal static class TestData
{
    /// <summary>The repository.</summary>
    public static string Root { get; } = FindRoot();

    public static string Path(string folder, string file) => System.IO.Path.Combine(Root, "tests", "data", folder, file);

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(System.IO.Path.Combine(folder, "Server.sln")))
        {
            folder = System.IO.Path.GetDirectoryName(folder);
        }

        return folder ?? throw new DirectoryNotFoundException($"No folder above {AppContext.BaseDirectory} has Server.sln.");
    }
}
