namespace Whatsit.Inference.Fetching;

/// <summary>Where what was fetched or computed is kept for the next time.</summary>
public static class UserCache
{
    /// <summary>This user's cache folder. https://specifications.freedesktop.org/basedir-spec/latest/</summary>
    public static string Folder
    {
        get
        {
            var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            return Path.Combine(!string.IsNullOrEmpty(cache) ? cache : OperatingSystem.IsWindows() || home.Length == 0
                ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData) : Path.Combine(home, ".cache"), "whatsit");
        }
    }
}
