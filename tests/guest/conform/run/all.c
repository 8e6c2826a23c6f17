// SPDX-License-Identifier: Apache-2.0
/* all FOLDER: runs every program in FOLDER, by name, one after the other. */
#include <dirent.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct dirent **list;
    int n = argc == 2 ? scandir(argv[1], &list, NULL, alphasort) : -1;

    if (n < 0 || chdir(argv[1]) < 0)
        return 2;
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        int status = 0;
        if (name[0] == '.')
            continue;
        pid_t pid = fork();
        if (pid == 0) {
            (void)execl(name, name, (char *)NULL);
            _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            return 3;
        printf("%s: status %#x\n", name, (unsigned)status);
        (void)fflush(stdout);
    }
    return 0;
}
