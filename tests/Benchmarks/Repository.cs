namespace Whatsit.Benchmarks;

/// <summary>The repository that this program was built in.</summary>
internal static class Repository
{
    /// <summary>The folder with Server.sln.</summary>
    public static string Root { get; } = Find();

    /// <summary>A file or folder of the repository.</summary>
    public static string PathOf(params string[] parts) => Path.Combine([Root, .. parts]);

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Server.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The benchmarks run inside the repository.");
        }

        return folder.FullName;
    }

    /// <summary>A bundle's folder, given as that or as a name in <c>models/</c>.</summary>
    public static string BundleOf(string model) => Directory.Exists(model) ? Path.TrimEndingDirectorySeparator(Path.GetFullPath(model))
        : PathOf("models", model);
}
